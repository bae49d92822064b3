import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

/** What `npm ci` links does so on a fresh clone, before anything is built: it leaves out what is not there. */
const programs = { server: 'espalier', agent: 'espalier-agent' }

for (const [workspace, name] of Object.entries(programs))
  t.test(`${name} is there before anything is built, and says so`, (t) => {
    const { bin } = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8'))
    t.same(Object.keys(bin), [name])
    const file = join(workspace, bin[name])
    t.notMatch(file, /dist/)
    t.equal(statSync(file).mode & 0o111, 0o111, 'it may be executed')

    const clone = t.testdir({ bin: {} })
    cpSync(file, join(clone, bin[name]))
    const unbuilt = spawnSync(join(clone, bin[name]), ['--help'], { encoding: 'utf8' })
    t.match(unbuilt, { status: 1, stdout: '', stderr: `${name}: not built yet; run: npm run build\n` })
    const built = spawnSync(file, ['--help'], { encoding: 'utf8' })
    t.match(built, { status: 0, stdout: name, stderr: '' })
    t.equal(spawnSync(file, ['nonsense'], { encoding: 'utf8' }).status, 2)
    t.end()
  })
