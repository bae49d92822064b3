import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { matching } from '@espalier/server/compiler/train/loss.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'
import { EspalierError } from '@espalier/shared'
import { architectures } from '../zoo/index.js'
import { cifarNetworks } from './parts/subjects.js'

export const about =
  'memory of a training step where values are computed again, predicted and measured in a fresh process, and its time over that of a plain step, in turn: ResNet-20 in batches of 64, zoo networks in batches of 32; --rounds 3 --only NETWORK'

const execute = promisify(execFile)
const folder = '.build/bench/recompute'
const SHARES = [1, 0.8, 0.65, 0.55]

interface Measured {
  readonly bytes: number
  readonly ms: number
}

async function measured(graph: Graph): Promise<Measured> {
  const file = join(folder, 'step.onnx')
  await writeFile(file, writeModel(graph))
  const child = fileURLToPath(new URL('./recompute/child.js', import.meta.url))
  return JSON.parse((await execute(process.execPath, [child, file])).stdout)
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1]

export default async function recompute(options: Readonly<Record<string, string>>): Promise<object> {
  const rounds = Number(options.rounds ?? 3)
  await mkdir(folder, { recursive: true })
  const zoo = architectures.filter(({ name }) => ['U-Net', 'MobileNet 2', 'BERT'].includes(name))
  const all: [string, number, Graph][] = [
    ['ResNet-20', 64, await readModelFile(cifarNetworks.resnet20.model)],
    ...zoo.map(({ name, make }): [string, number, Graph] => [name, 32, make()]),
  ]
  const subjects = all.filter(([name]) => options.only === undefined || name === options.only)
  const results: Record<string, object[]> = {}
  for (const [name, batch, graph] of subjects) {
    const size = (d: unknown) => (typeof d === 'number' ? d : 32)
    const shapes = new Map(graph.inputs.map((i) => [i.name, [batch, ...(i.dims ?? []).slice(1).map(size)]]))
    const step = (memory: number) =>
      trainingGraph(graph, {
        shapes,
        batchNorm: 'batch',
        loss: matching(graph.outputs.map((o) => o.name)),
        memory,
      })
    const whole = await step(2 ** 50)
    const plainBytes = whole.memory?.predictedBytes ?? 0
    const rows = new Map<number, { step: typeof whole; runs: Measured[] }>([[1, { step: whole, runs: [] }]])
    for (const share of SHARES.slice(1)) {
      const cut = await step(Math.round(share * plainBytes)).catch((thrown) => {
        // Not every network can be cut so small.
        if (thrown instanceof EspalierError && thrown.code === 'BUDGET_UNREACHABLE') return undefined
        throw thrown
      })
      if (cut) rows.set(share, { step: cut, runs: [] })
    }
    for (let r = 0; r < rounds; r++)
      for (const row of rows.values()) row.runs.push(await measured(row.step.graph))
    const plain = rows.get(1)?.runs ?? []
    results[name] = [...rows].map(([share, { step, runs }]) => ({
      ...{ share, segments: step.memory?.segments, predictedBytes: step.memory?.predictedBytes },
      measuredBytes: median(runs.map((m) => m.bytes)),
      timeOverPlain: median(runs.map((m, i) => m.ms / plain[i].ms)),
    }))
  }
  await rm(folder, { recursive: true, force: true })
  return results
}
