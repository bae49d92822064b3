import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

/** Runs a line of JavaScript that may use what scripts/prerequisites.mjs exports. */
function evaluate(line: string, env: Record<string, string> = {}) {
  const source = `import * as p from './scripts/prerequisites.mjs'; ${line}`
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}

t.test('a machine without a compiler is told which Debian packages to install', (t) => {
  const bin = mkdtempSync(join(tmpdir(), 'espalier-path-'))
  t.teardown(() => rmSync(bin, { recursive: true }))
  const missing = () =>
    JSON.parse(evaluate('console.log(JSON.stringify(p.missingCompilerPackages()))', { PATH: bin }).stdout)
  t.strictSame(missing(), ['python3', 'make', 'g++'])
  symlinkSync(process.execPath, join(bin, 'make'))
  symlinkSync(process.execPath, join(bin, 'c++'))
  t.strictSame(missing(), ['python3'])
  t.match(evaluate("console.log(p.compilerAdvice(['make', 'g++']))").stdout, /apt-get install make g\+\+$/m)
  t.end()
})

t.test('Node.js older than 20 is refused with its version and its path', (t) => {
  const as = (version: string) =>
    evaluate(`Object.defineProperty(process.versions, 'node', { value: '${version}' }); p.requireNode()`)
  const { status, stderr } = as('18.20.4')
  t.equal(status, 1)
  t.match(stderr, /needs Node.js 20 or newer; this is 18.20.4/)
  t.equal(as('20.0.0').status, 0)
  t.end()
})
