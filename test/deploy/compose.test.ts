import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

/** Orders of keys and names say nothing about whether it works; an image is named here where it is built. */
const taste = [
  'no-build-and-image',
  'service-keys-order',
  'services-alphabetical-order',
  'require-quotes-in-ports',
]

/** The linter checks the compose schema first, then its rules. @returns its exit status */
const lint = (file: string) =>
  spawnSync(process.execPath, [
    'node_modules/dclint/bin/dclint.cjs',
    file,
    '--max-warnings=0',
    ...taste.flatMap((rule) => ['--disable-rule', rule]),
  ]).status

t.test('the compose file fits the compose schema, its linter finds nothing, and a mistake is found', (t) => {
  t.equal(lint('docker-compose.yml'), 0)
  const folder = mkdtempSync(join(tmpdir(), 'espalier-compose-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const spoilt = join(folder, 'docker-compose.yml')
  writeFileSync(spoilt, readFileSync('docker-compose.yml', 'utf8').replace('restart:', 'restarts:'))
  t.not(lint(spoilt), 0)
  t.end()
})

t.test('every file that the compose file mounts or builds from exists', (t) => {
  const text = readFileSync('docker-compose.yml', 'utf8')
  const mounted = [...text.matchAll(/- \.\/([^:\s]+):/g), ...text.matchAll(/dockerfile: (\S+)/g)]
  t.ok(mounted.length >= 4)
  for (const [, path] of mounted) t.ok(existsSync(path), path)
  t.end()
})

t.test('passwords are made once, differ, and are for their owner alone', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-secrets-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const make = () =>
    execFileSync(process.execPath, ['deploy/compose/secrets.mjs', folder, 'board-1', 'board-2'])
  const read = (user: string) => readFileSync(join(folder, `${user}.password`), 'utf8')
  make()
  const before = read('board-1')
  make()
  t.equal(read('board-1'), before)
  t.not(read('board-2'), before)
  for (const file of ['board-1.password', 'mosquitto/passwords']) {
    t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file)
  }
  t.end()
})
