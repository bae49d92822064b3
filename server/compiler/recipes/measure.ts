import { stat } from 'node:fs/promises'
import {
  type MeasureOptions,
  type MemoryMeasurement,
  measure,
  measureMemory,
  profiles,
} from '@espalier/shared/measure/index.js'
import { captureShapes, footprintOf } from '../analysis/index.js'
import type { Graph } from '../graph/index.js'
import { writeModelFile } from '../onnx/index.js'
import { measuringChild } from '../runtime/index.js'
import type { Sizes } from './options.js'

type Shapes = MeasureOptions['shapes']

/** Writes the graph to `path` and gives what it adds to a process: the largest of five, or of as many as it takes to exceed `limit`. */
export async function ramOf(
  graph: Graph,
  path: string,
  limit: number,
  shapes: Shapes,
  signal?: AbortSignal,
): Promise<number> {
  await writeModelFile(graph, path)
  const options = { child: measuringChild, shapes, signal }
  const first = await measureMemory(path, options, 2)
  if (first.measuredRamBytes > limit) return first.measuredRamBytes
  const rest = await measureMemory(path, options, 3)
  return Math.max(first.measuredRamBytes, rest.measuredRamBytes)
}

/** Writes the graph to `path` and gives the median time of a query, in ms. */
export async function p50Of(
  graph: Graph,
  path: string,
  shapes: Shapes,
  signal?: AbortSignal,
): Promise<number> {
  await writeModelFile(graph, path)
  const { p50Ms } = await measure(path, profiles.brief, { child: measuringChild, shapes, signal }, 1)
  return p50Ms
}

/** Costs, memory and latency of the network in the file `path`. */
export async function sizesOf(
  graph: Graph,
  path: string,
  predictedRamBytes: (predicted: number) => number,
  shapes: Shapes,
  signal?: AbortSignal,
): Promise<Sizes> {
  const captured = await captureShapes(graph, shapes)
  const footprint = footprintOf(graph, captured.dims, captured)
  const m = await measure(path, profiles.brief, { child: measuringChild, shapes, signal })
  return {
    macs: footprint.macs,
    params: footprint.params,
    fileBytes: (await stat(path)).size,
    predictedRamBytes: Math.round(predictedRamBytes(footprint.predictedRamBytes)),
    measuredRamBytes: m.measuredRamBytes,
    memory: memoryOf(m),
    p50Ms: m.p50Ms,
    p90Ms: m.p90Ms,
    p95Ms: m.p95Ms,
  }
}

const memoryOf = ({ processes, medianRamBytes, spreadRamBytes }: MemoryMeasurement) => ({
  processes,
  medianRamBytes,
  spreadRamBytes,
})
