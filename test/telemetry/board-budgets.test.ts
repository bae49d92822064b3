import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { credentialOf } from '@espalier/agent/credential.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'
import { AgentProcess, soon } from '../agent/support/process.js'
import { call } from '../support/service.js'
import { idxFile } from '../support/tiny.js'
import { ServiceProcess } from '../support/up.js'
import { Net } from '../zoo/index.js'

const MB = 1e6
/** What these boards need more than the machine that compiles, as a share of the file. */
const MORE = 0.8

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + 120_000; ; ) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

t.test('budgets for boards that need more are met on them, by what they reported', async (t) => {
  const folder = t.testdir({
    'x.idx': idxFile(
      [32, 8, 8],
      Uint8Array.from({ length: 32 * 64 }, (_, i) => (i * 37) % 251),
    ),
    'y.idx': idxFile(
      [32],
      Uint8Array.from({ length: 32 }, (_, i) => i % 10),
    ),
  })
  const n = new Net('layers')
  const hidden = n.op('Relu', [n.dense(n.op('Flatten', [n.input('x', ['n', 1, 8, 8])]), 64, 1024)])
  const file = join(folder, 'layers.onnx')
  await writeModelFile(n.build(n.dense(n.op('Relu', [n.dense(hidden, 1024, 1024)]), 1024, 10)), file)
  const service = new ServiceProcess(join(folder, 'data'))
  t.teardown(() => service.kill())
  await service.start()
  const espalier = async (...args: string[]) => {
    const words = ['server/dist/cli/main.js', ...args, '--server', service.url, '--json']
    return JSON.parse((await promisify(execFile)(process.execPath, words)).stdout)
  }
  await espalier('models', 'create', 'layers', file)
  await espalier('datasets', 'create', 'd', `idx:${folder}/x.idx,${folder}/y.idx`)
  const compile = (...args: string[]) =>
    espalier('compilations', 'create', 'layers', '--data', 'd', '--epochs', '0', ...args)
  await compile('--memory', '7MB', '--memory', '5MB')

  const heavier = `--import=${new URL('../support/workers/heavier.mjs', import.meta.url)}`
  const device = async (id: string, memory: string) => {
    const { body } = await call(service.url, 'POST', '/v1/devices', { id })
    await call(service.url, 'PUT', `/v1/devices/${id}/assignment`, { model: 'layers' })
    const agent = new AgentProcess(credentialOf(body, id))
    t.teardown(() => agent.end('SIGKILL'))
    agent.start(['--memory', memory], soon, {}, [heavier])
    return agent
  }
  await device('roomy', '20MB')
  const fair = await device('fair', '8MB')
  const board = await until('the boards are known', async () => {
    const { body } = await call(service.url, 'GET', '/v1/boards')
    return body.items.find((b) => b.corrected === true)
  })
  t.match(board, { devices: 2, variants: 2 })
  const { medianError } = board as { medianError: { uncorrected: number; corrected: number } }
  t.ok(medianError.uncorrected > 0.2 && medianError.corrected < 0.05, JSON.stringify(board))
  t.match(fair.log, /MEMORY_OVER_BUDGET|over/, 'what was expected to fit did not')

  const { variants } = await compile('--memory', '5.5MB', '--board', String(board.board))
  const [made] = variants
  t.match(made, { memoryBudgetBytes: 5.5 * MB, recipe: /is expected to need it/ })
  const there = made.measuredRamBytes + MORE * made.fileBytes
  t.ok(there <= 5.5 * MB && there > 0.85 * 5.5 * MB, `${made.measuredRamBytes} here, ${there} there`)
  await device('tight', '5.5MB')
  const active = await until('the board runs what was made for it', async () => {
    const { body } = await call(service.url, 'GET', '/v1/devices/tight')
    return (body.active as { variant: string } | null)?.variant
  })
  t.equal(active, made.digest)
})
