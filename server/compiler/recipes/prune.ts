import { EspalierError } from '@espalier/shared'
import { type Footprint, footprintOf, type InputShapes, type Shapes, type Unit } from '../analysis/index.js'
import { allocate, type Resource, thinning } from '../budget/index.js'
import type { Graph } from '../graph/index.js'
import { criteria, keepShare, taylor } from '../saliency/index.js'
import {
  type Check,
  checkPruning,
  type Plan,
  type Prunable,
  planOf,
  prunable,
  pruned,
  verifyShapes,
} from '../surgery/index.js'
import type { Samples } from '../train/index.js'

/** How much stays: a share of the units of each group, a share of MACs or parameters, or a memory in bytes. */
export interface Amount {
  readonly keep?: number
  readonly macs?: number
  readonly params?: number
  readonly memoryBytes?: number
}

export const criterionNames: readonly string[] = [...Object.keys(criteria), 'taylor']

export interface PruneOptions extends Amount {
  /** l1 by default. */
  readonly criterion?: keyof typeof criteria | 'taylor'
  /** Labelled data that `taylor` looks at. */
  readonly data?: Samples
  /** Share of the residual branches that stays: 1 by default with `keep`; otherwise at least so many, 0 by default. */
  readonly depth?: number
  /** Channel counts in multiples of it; 1 by default with `keep`, otherwise 8. */
  readonly round?: number
  /** Compares the result with the original in which the same weights are zero. */
  readonly check?: boolean
  readonly seed?: number
  /** Concrete sizes of inputs with dynamic dimensions. */
  readonly shapes?: InputShapes
}

export interface PruneResult {
  readonly graph: Graph
  readonly plan: Plan
  readonly units: { readonly before: number; readonly after: number }
  /** How many residual branches there were, and labels of those that went. */
  readonly blocks: { readonly before: number; readonly gone: readonly string[] }
  readonly before: Footprint
  readonly after: Footprint
  /** Of the network before and after, as runs of both showed them. */
  readonly shapes: { readonly before: Shapes; readonly after: Shapes }
  readonly check?: Check
  readonly seconds: Readonly<Record<string, number>>
}

/**
 * Structured pruning alone, without training: rank the units, choose those that go, remove them, and see that every
 * shape is as predicted.
 * @param on is told of each stage as it begins
 * @throws BUDGET_UNREACHABLE, PRUNING_INEXACT, and what `prunable` throws
 */
export async function prune(
  original: Graph,
  options: PruneOptions,
  on: (stage: string) => void = () => {},
): Promise<PruneResult> {
  const { keep, macs, params, memoryBytes } = options
  if ([keep, macs, params, memoryBytes].filter((amount) => amount !== undefined).length !== 1) {
    throw new EspalierError(
      'OPTION_INVALID',
      'say in one way how much is to stay: --keep, --macs, --params or --memory',
    )
  }
  const seconds: Record<string, number> = {}
  const timed = async <T>(stage: string, work: () => T | Promise<T>): Promise<T> => {
    on(stage)
    const start = performance.now()
    const result = await work()
    seconds[stage] = (performance.now() - start) / 1000
    return result
  }
  const subject = await timed('analyse', () => prunable(original, options.shapes))
  const { groups, blocks, shapes } = subject.coupling
  const scores = await timed('rank', () => scoresOf(subject, options))
  const removed = await timed('choose', () => choose(subject, scores, options))
  const { graph, real } = await timed('prune', async () => {
    const result = pruned(subject, removed)
    return { graph: result, real: await verifyShapes(subject, removed, result) }
  })
  const check = options.check
    ? await timed('check', () => checkPruning(subject, removed, graph, { seed: options.seed }))
    : undefined
  const gone = blocks.filter((b) => removed.has(b))
  const units = groups.reduce((n, g) => n + g.units.length, 0)
  return {
    graph,
    plan: planOf(subject, removed),
    units: { before: units, after: units - (removed.size - gone.length) },
    blocks: { before: blocks.length, gone: gone.map((b) => b.label) },
    before: footprintOf(original, shapes.dims, shapes),
    after: footprintOf(graph, real.dims, shapes),
    shapes: { before: shapes, after: real },
    check,
    seconds,
  }
}

async function scoresOf(
  { coupling }: Prunable,
  { criterion = 'l1', data, seed = 0 }: PruneOptions,
): Promise<Float64Array[]> {
  if (criterion !== 'taylor') return criteria[criterion](coupling, { seed })
  if (!data)
    throw new EspalierError('OPTION_INVALID', '--criterion taylor looks at labelled data: give --data')
  return taylor(coupling, data)
}

/** The units that go for an amount. */
function choose(
  { coupling, original }: Prunable,
  scores: readonly Float64Array[],
  { keep, macs, params, memoryBytes, round, depth }: PruneOptions,
): ReadonlySet<Unit> {
  if (keep !== undefined) return keepShare(coupling, scores, { share: keep, round, depth })
  const resource: Resource = memoryBytes !== undefined ? 'memory' : macs !== undefined ? 'macs' : 'params'
  const dense = footprintOf(original, coupling.shapes.dims, coupling.shapes)
  const limits = {
    memoryBytes,
    macs: macs === undefined ? undefined : macs * dense.macs,
    params: params === undefined ? undefined : params * dense.params,
  }
  return allocate(coupling, thinning(coupling, scores, resource, round ?? 8), limits).removed
}
