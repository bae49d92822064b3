import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { DockerfileParser } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'
import t from 'tap'

for (const file of readdirSync('deploy').filter((name) => name.endsWith('.Dockerfile'))) {
  const text = readFileSync(`deploy/${file}`, 'utf8')
  const dockerfile = DockerfileParser.parse(text)

  t.test(`${file} passes the linter, and the linter sees a mistake`, (t) => {
    t.strictSame(validate(text), [])
    t.not(validate(text.replace('--from=build', '--from')).length, 0)
    t.end()
  })

  t.test(`${file} copies only what the repository has`, (t) => {
    const sources = dockerfile
      .getCOPYs()
      .filter((copy) => copy.getFromFlag() === null)
      .flatMap((copy) => copy.getArguments().slice(0, -1))
    t.ok(sources.length > 0)
    for (const source of sources) t.ok(existsSync(source.getValue()), source.getValue())
    t.end()
  })

  t.test(
    `${file} ends in an image that is not root's, says whether it is well, and compiles nothing`,
    (t) => {
      const start = dockerfile.getFROMs().at(-1)?.getRange()?.start.line ?? 0
      const last = dockerfile.getInstructions().filter((i) => (i.getRange()?.start.line ?? 0) > start)
      const of = (keyword: string) => last.filter((instruction) => instruction.getKeyword() === keyword)
      t.equal(of('USER').at(-1)?.getArgumentsContent(), 'node')
      t.equal(of('HEALTHCHECK').length, 1)
      t.equal(of('ENTRYPOINT').length, 1)
      t.notOk(of('RUN').some((run) => /npm|apt-get/.test(run.getArgumentsContent() ?? '')))
      t.end()
    },
  )
}
