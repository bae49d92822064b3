import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fill } from '@espalier/shared/measure/inputs.js'
import { withGolden } from '../../agent/support/golden.js'
import { described } from '../../agent/support/models.js'
import { AgentProcess, soon } from '../../agent/support/process.js'
import { ServiceProcess, fill as stock } from '../../agent/support/service-process.js'
import { patience } from '../../support/patience.js'

/**
 * Prints a device's whole way, its agent by ESPALIER_TEST_AGENT_NODE: a real service here hands it the sample's network,
 * with what that answers here; it fetches, measures, activates and serves it, and is asked over HTTP.
 */
const folder = mkdtempSync(join(tmpdir(), 'espalier-path-'))
const about = { top1: { value: 0.9927, n: 10_000 } }
const [model] = await withGolden(
  [described('sample', readFileSync('deploy/sample/digits.onnx'), about)],
  folder,
)
const [golden] = model.variant.golden!
const data = join(folder, 'data')
mkdirSync(data)
await stock(data, model.bytes, [model])
const service = new ServiceProcess(data)
await service.start()
const agent = new AgentProcess(await service.device('board'))
try {
  agent.start(['--serve', '0'], soon)
  const device = await until('it is active', async () => {
    const { body } = await service.call('GET', '/devices/board')
    return body.state === 'active' && body
  })
  const url = await until('it says where it serves', async () => /inference at (\S+)/.exec(agent.log)?.[1])
  await until('it is ready', async () => (await fetch(`${url}/models/digits/ready`)).status === 200)
  const [input] = (await (await fetch(`${url}/models/digits`)).json()).inputs
  const shape: number[] = input.shape.map((size: number) => Math.abs(size))
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1))
  fill(values)
  const query = { inputs: [{ name: input.name, datatype: input.datatype, shape, data: [...values] }] }
  const asked = await fetch(`${url}/models/digits/infer`, { method: 'POST', body: JSON.stringify(query) })
  const answer = await asked.json()
  const found: number[] = answer.outputs[0].data
  const gap = Math.max(...golden.values.map((value, i) => Math.abs(value - found[i])))
  const [report] = (await service.call('GET', '/reports')).body.items
  const { board, arch, cores, memoryBytes, memoryBudgetBytes, active } = device
  const { runs, threads, measuredRamBytes } = report
  console.log(
    JSON.stringify({
      ...{ board, arch, cores, memoryBytes, memoryBudgetBytes },
      active: (active as { name: string }).name,
      measured: { runs, threads, measuredRamBytes },
      /** Its largest difference from what the network answers here, of the largest value. */
      served: { status: asked.status, values: found.length, offBy: gap / golden.scale },
    }),
  )
} catch (e) {
  console.error(agent.log)
  throw e
} finally {
  await agent.end('SIGKILL')
  await service.end()
  rmSync(folder, { recursive: true })
}

async function until<T>(what: string, look: () => Promise<T | false | undefined>): Promise<T> {
  for (const end = Date.now() + 120_000 * patience; Date.now() < end; await sleep(200)) {
    const found = await look()
    if (found) return found
  }
  throw new Error(`never: ${what}`)
}
