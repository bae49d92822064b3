import { EspalierError } from '@espalier/shared'
import { formatBytes } from '@espalier/shared/bytes.js'
import { allocationsOf, arenaBytes } from '../analysis/index.js'
import { elementBytes, elementCount, type Graph } from '../graph/index.js'
import { inBlocks } from './blocks.js'
import { type Sizes, shapesOf } from './shapes.js'

export interface MemoryOptions {
  /** Bytes that a step may take, what it is fed among them; values are computed again where that is needed for it. */
  readonly memory?: number
  /** Bytes that there are, where nothing is asked: what may take more is looked at. Not looked at if not given. */
  readonly available?: number
}

/** What a step takes by prediction. */
export interface StepMemory {
  readonly predictedBytes: number
  /** Where nothing is computed again. */
  readonly plainBytes: number
  /** Parts of the forward pass; of all but the last, values are computed again. 1 where none are. */
  readonly segments: number
}

const SEGMENTS = [2, 3, 4, 6, 8, 12, 16, 24, 32]
/** A step takes seldom more than so many times what the forward pass computes. */
const MOST = 3

/**
 * The graph of a step that is predicted to take no more than there may be: as it is, or cut into as few segments as that needs.
 * @throws BUDGET_UNREACHABLE where none does, for memory that was asked for
 */
export async function withinMemory(
  plain: Graph,
  again: (segments: number) => Graph,
  { dims }: Pick<Sizes, 'dims'>,
  { memory, available }: MemoryOptions,
): Promise<{ graph: Graph; memory?: StepMemory }> {
  const all = [...dims.values()].reduce((sum, shape) => sum + 4 * elementCount(shape), 0)
  const limit = memory ?? available
  if (limit === undefined || (memory === undefined && MOST * all < limit)) return { graph: plain }
  const plainBytes = await stepBytes(plain)
  let best = { graph: plain, memory: { predictedBytes: plainBytes, plainBytes, segments: 1 } }
  for (const segments of SEGMENTS) {
    if (best.memory.predictedBytes <= limit) return best
    const graph = again(segments)
    const predictedBytes = await stepBytes(graph)
    if (predictedBytes < best.memory.predictedBytes)
      best = { graph, memory: { predictedBytes, plainBytes, segments } }
  }
  if (best.memory.predictedBytes <= limit || memory === undefined) return best
  throw new EspalierError(
    'BUDGET_UNREACHABLE',
    `a step takes ${formatBytes(best.memory.predictedBytes)} at least, ${formatBytes(plainBytes)} where nothing is computed again, ` +
      `more than the ${formatBytes(memory)} that it may; take smaller batches`,
  )
}

/**
 * Bytes that the runtime's allocator comes to in one step of a training graph, and those of what it is fed. Shapes that the
 * runtime does not infer count for nothing.
 */
export async function stepBytes(plain: Graph): Promise<number> {
  const graph = await inBlocks(plain)
  const dims = await shapesOf(graph)
  // What lies in blocks has a shape of its own there.
  const placements = graph.nodes.map(() => ({ reads: 'plain', writes: 'plain' }) as const)
  const fed = graph.inputs.map((i) => elementCount(dims.get(i.name) ?? []) * elementBytes(i.dtype))
  return arenaBytes(allocationsOf(graph, dims, placements, { batch: 1 })) + fed.reduce((a, b) => a + b, 0)
}
