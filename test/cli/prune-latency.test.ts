import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../support/networks.js'
import { blockedTimes } from '../support/times.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])

const graph = convNetwork([64, 96], 10)
const times = blockedTimes(await prunable(graph))

async function files(dir: string) {
  const named = { model: join(dir, 'model.onnx'), out: join(dir, 'out.onnx'), table: join(dir, 'board.json') }
  await writeModelFile(graph, named.model)
  writeFileSync(named.table, JSON.stringify(times))
  return named
}

t.test('prune --latency keeps what the profile expects below it, in counts that run fast', async (t) => {
  const { model, out, table } = await files(t.testdir())
  const limit = ['--latency', '0.15', '--profile', table]
  const { stdout } = await espalier('prune', model, '-o', out, ...limit, '--json')
  const { bound, expectedMs, frontier, after, before } = JSON.parse(stdout)
  t.equal(bound, 'latency')
  t.ok(expectedMs.before > 0.15 && expectedMs.after <= 0.15, JSON.stringify(expectedMs))
  t.ok(after.macs < before.macs)
  t.equal(frontier, undefined)
  const small = await readModelFile(out)
  for (const name of ['w1', 'w2']) t.equal((small.constant(name)?.dims[0] ?? 1) % 16, 0, name)
  const said = await espalier('prune', model, '-o', out, ...limit)
  t.match(said.stdout, /expected latency +0\.\d+ ms/)
  t.match(said.stdout, /the limit on latency bound/)
})

t.test(
  'a latency that nothing meets, or that nothing says, is refused, and nothing is written',
  async (t) => {
    const { model, out, table } = await files(t.testdir())
    const refused = (args: string[], code: number, stderr: RegExp) =>
      t.rejects(espalier('prune', model, '-o', out, ...args), { code, stderr })
    await refused(
      ['--latency', '0.001', '--profile', table],
      1,
      /least that this network.*BUDGET_UNREACHABLE/,
    )
    await refused(['--latency', '1'], 2, /needs --profile.*OPTION_INVALID/)
    await refused(['--latency', '-1', '--profile', table], 2, /OPTION_INVALID/)
    await refused(['--latency', '1', '--profile', model], 1, /MESSAGE_INVALID/)
    await refused(['--macs', '0.5', '--frontier', out], 2, /cannot both be/)
    t.notOk(existsSync(out))
  },
)

t.test('prune --frontier says what each further MB would buy, as a table, as JSON and drawn', async (t) => {
  const dir = t.testdir()
  const { model, out } = await files(dir)
  const drawn = join(dir, 'frontier.svg')
  const args = ['prune', model, '-o', out, '--macs', '0.5', '--frontier', drawn]
  const { frontier } = JSON.parse((await espalier(...args, '--json')).stdout)
  t.ok(frontier.length >= 3)
  t.same(frontier.at(-1), { ...frontier.at(-1), saliency: 1, macs: 1, params: 1 })
  for (const [i, point] of frontier.entries())
    if (i > 0)
      t.ok(point.memoryBytes > frontier[i - 1].memoryBytes && point.saliency > frontier[i - 1].saliency)
  t.match(readFileSync(drawn, 'utf8'), /^<svg[\s\S]*polyline[\s\S]*<\/svg>\n$/)
  const { stdout } = await espalier('prune', model, '-o', out, '--macs', '0.5', '--frontier')
  t.match(stdout, /saliency for a further MB\n(.*%\n?)+/)
})
