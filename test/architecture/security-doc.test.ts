import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

const text = readFileSync('docs/security.md', 'utf8')
const named = [...text.matchAll(/^- `(test\/[^`]+\.ts)`: "([^"]+)"$/gm)].map(([, file, title]) => ({
  file,
  title,
}))

t.test('every test that the page on security names exists, by its title', (t) => {
  t.ok(named.length >= 30, `${named.length} are named`)
  t.strictSame(
    named.filter(
      ({ file, title }) => !existsSync(file) || !readFileSync(file, 'utf8').includes(`'${title}'`),
    ),
    [],
  )
  t.equal([...text.matchAll(/^- `test\//gm)].length, named.length, 'none is written otherwise')
  t.end()
})

t.test('every command that it names is one', (t) => {
  const commands = readFileSync('server/cli/commands.ts', 'utf8')
  const called = new Set([...text.matchAll(/`espalier (\w+)/g)].map(([, command]) => command))
  t.ok(called.size > 1)
  t.strictSame(
    [...called].filter((command) => !new RegExp(`^  ${command}: `, 'm').test(commands)),
    [],
  )
  t.end()
})
