import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { errorCodes } from '@espalier/shared'
import t from 'tap'
import { repositoryFiles } from './sources.js'

const binary = new Set(['.onnx', '.png', '.jpg', '.gz', '.npz', '.ico', '.woff2'])
const files = repositoryFiles().filter((file) => !binary.has(extname(file)))
const sources = files.filter((file) => /^(shared|agent|server|scripts)\/.*\.(ts|tsx|mjs)$/.test(file))
const itself = 'test/architecture/repository.test.ts'
const read = (file: string) => readFileSync(file, 'utf8')

t.test('no file names a folder of somebody’s machine', (t) => {
  const privatePath = new RegExp(
    String.raw`(^|["'\`\s=:(])/(${['work', 'root', 'home', 'Users'].join('|')})/\w`,
    'm',
  )
  t.match(`see "${['', 'home', 'ada'].join('/')}"`, privatePath)
  t.strictSame(
    files.filter((file) => privatePath.test(read(file))),
    [],
  )
  t.end()
})

t.test(
  'the lock file names no registry, and holds every optional package, so that npm ci works everywhere',
  (t) => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<
        string,
        { link?: boolean; resolved?: string; optionalDependencies?: Record<string, string> }
      >
    }
    const resolved = Object.values(packages).flatMap((entry) => (entry.link ? [] : (entry.resolved ?? [])))
    t.strictSame(resolved, [])
    for (const [path, entry] of Object.entries(packages))
      for (const name of Object.keys(entry.optionalDependencies ?? {}))
        t.ok(packages[`node_modules/${name}`] ?? packages[`${path}/node_modules/${name}`], name)
    t.end()
  },
)

t.test('onnxruntime-node fetches nothing when it is installed, with npm 10 and with npm 11', (t) => {
  t.match(read('.npmrc'), /^onnxruntime-node-install=skip$/m)
  t.match(JSON.parse(read('package.json')).allowScripts, {
    'better-sqlite3': true,
    'onnxruntime-node': false,
  })
  t.end()
})

t.test('every error code is thrown or shown somewhere', (t) => {
  const text = sources
    .filter((file) => file !== 'shared/errors.ts')
    .map(read)
    .join('\n')
  t.strictSame(
    errorCodes.filter((code) => code !== 'INTERNAL' && !text.includes(`'${code}'`)),
    [],
  )
  t.end()
})

t.test('no types are given up and no error is swallowed, in tests neither', (t) => {
  const given =
    /@ts-(ignore|expect-error|nocheck)|(\bas|:) any\b(?! [a-z])|as unknown as|catch *(\(\w*\))? *\{\s*\}/
  const tests = files.filter((file) => /^test\/.*\.(ts|mjs)$/.test(file) && file !== itself)
  t.ok(tests.length > 200, `${tests.length} files of tests`)
  t.strictSame(
    [...sources, ...tests].filter((file) => given.test(read(file))),
    [],
  )
  t.end()
})
