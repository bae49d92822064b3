import { EspalierError } from '@espalier/shared'
import type { OperatorTimes } from '@espalier/shared/measure/index.js'
import { type Footprint, footprintOf, type InputShapes, type Shapes, type Unit } from '../analysis/index.js'
import { type Allocation, allocate, costsWithout } from '../budget/index.js'
import type { Dataset } from '../data/index.js'
import type { FrontierPoint } from '../frontier.js'
import type { Graph } from '../graph/index.js'
import { latencyModel } from '../latency/index.js'
import { limitKinds, type Resource, requireLimits, requireProfile, type VariantLimits } from '../limits.js'
import type { CriterionName } from '../names.js'
import { writeModel } from '../onnx/index.js'
import { type Recovered, recover } from '../recover/index.js'
import { keepShare } from '../saliency/index.js'
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
import { frontierOf } from './frontier.js'
import { keptUnits } from './kept.js'
import { saliency } from './saliency.js'
import { expectedStep } from './step.js'

/** How much stays: a share of the units of each group, or what all limits leave that are given. */
export interface Amount extends VariantLimits {
  readonly keep?: number
}

export interface PruneOptions extends Amount {
  /** l1 by default. */
  readonly criterion?: CriterionName
  /** Operator times that limits on latency are expected by. */
  readonly times?: OperatorTimes
  /** Also says what each budget of memory would buy. */
  readonly frontier?: boolean
  /** What `reconstruction`, `recover` and (labelled) `taylor` look at. */
  readonly data?: Dataset
  /** Repairs what is left from the data, without labels; see `recover`. */
  readonly recover?: boolean
  /** With `keep`, the share of residual branches that stays, 1 by default; with limits the least, 0 by default. */
  readonly depth?: number
  /** Channel counts in multiples of it; 1 by default with `keep`, what runs fastest by `times`, otherwise 8. */
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
  /** The limit that left the least room; null where there was none, or the network met all of them. */
  readonly bound: Resource | null
  /** Of a query, as `times` expect it. */
  readonly expectedMs?: { readonly before: number; readonly after: number }
  /** What each budget of memory between floor and dense network would buy, by prediction. */
  readonly frontier?: readonly FrontierPoint[]
  /** Of the pruned network, before it was repaired. */
  readonly check?: Check
  readonly recovered?: Omit<Recovered, 'graph'>
  readonly seconds: Readonly<Record<string, number>>
}

/**
 * Structured pruning alone, without training: rank the units, choose those that go, remove them, see that every
 * shape is as predicted, and where asked repair what is left.
 * @param on is told of each stage as it begins, and how far it is
 * @throws OPTION_INVALID, DATA_INVALID, BUDGET_UNREACHABLE, PRUNING_INEXACT, and what `prunable` throws
 */
export async function prune(
  original: Graph,
  options: PruneOptions,
  on: (stage: string, done?: number, total?: number) => void = () => {},
): Promise<PruneResult> {
  requireAmount(options)
  if (options.recover && !options.data)
    throw new EspalierError('OPTION_INVALID', '--recover looks at data, which need no labels: give --data')
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
  const scores = await timed('rank', () =>
    saliency(options.criterion ?? 'l1', subject.coupling, options.data, options.seed ?? 0),
  )
  const chosen = await timed('choose', () => choose(subject, scores, options))
  const { removed } = chosen
  const frontier = options.frontier
    ? await timed('frontier', () => frontierOf(subject.coupling, scores, (f) => f.predictedRamBytes, options))
    : undefined
  const { graph, real } = await timed('prune', async () => {
    const result = pruned(subject, removed)
    return { graph: result, real: await verifyShapes(subject, removed, result) }
  })
  const check = options.check
    ? await timed('check', () => checkPruning(subject, removed, graph, { seed: options.seed }))
    : undefined
  const gone = blocks.filter((b) => removed.has(b))
  const { data } = options
  const recovery =
    options.recover && data
      ? await timed('recover', () =>
          recover(subject.coupling, removed, graph, data, {
            seed: options.seed,
            on: (done, total) => on('recover', done, total),
          }),
        )
      : undefined
  const { graph: repaired, ...recovered } = recovery ?? { graph }
  return {
    graph: repaired,
    plan: planOf(subject, removed),
    units: {
      before: groups.reduce((n, g) => n + g.units.length, 0),
      after: keptUnits(subject.coupling, removed).reduce((n, kept) => n + kept, 0),
    },
    blocks: { before: blocks.length, gone: gone.map((b) => b.label) },
    before: footprintOf(original, shapes.dims, shapes),
    after: footprintOf(graph, real.dims, shapes),
    shapes: { before: shapes, after: real },
    bound: chosen.bound,
    ...(options.times && { expectedMs: expectedMs(subject, removed, options.times) }),
    ...(frontier && { frontier }),
    check,
    ...('better' in recovered && { recovered }),
    seconds,
  }
}

/** @throws OPTION_INVALID */
function requireAmount({ keep, ...options }: PruneOptions): void {
  const limited = limitKinds.some((kind) => options[kind] !== undefined)
  if (limited === (keep !== undefined))
    throw new EspalierError(
      'OPTION_INVALID',
      'say how much is to stay: --keep alone, or limits: --memory, --artifact, --macs, --params, --latency',
    )
  if (limited) requireLimits([options])
  requireProfile([options], options.times)
}

function expectedMs({ coupling }: Prunable, removed: Iterable<Unit>, times: OperatorTimes) {
  const expect = { latency: latencyModel(times, coupling) }
  const ms = (units: Iterable<Unit>) => costsWithout(coupling, units, expect).costs.latency
  return { before: ms([]), after: ms(removed) }
}

type Chosen = Pick<Allocation, 'removed' | 'bound'>

/** The units that go for an amount. */
function choose(
  subject: Prunable,
  scores: readonly Float64Array[],
  { keep, macs, params, memoryBytes, artifactBytes, latencyMs, times, round, depth }: PruneOptions,
): Chosen {
  const { coupling, original } = subject
  if (keep !== undefined)
    return { removed: keepShare(coupling, scores, { share: keep, round, depth }), bound: null }
  const dense = footprintOf(original, coupling.shapes.dims, coupling.shapes)
  const limits = {
    memoryBytes,
    macs: macs === undefined ? undefined : macs * dense.macs,
    params: params === undefined ? undefined : params * dense.params,
    latencyMs,
  }
  const artifactOverhead = writeModel(original).length - dense.weightBytes
  const expect = { artifactOverhead, latency: times && latencyModel(times, coupling) }
  for (let aimed = artifactBytes; ; ) {
    const by = (round?: number) =>
      allocate(coupling, scores, { ...limits, artifactBytes: aimed }, { round, depth, expect })
    const found = times && round === undefined ? expectedStep(by, latencyMs !== undefined).choice : by(round)
    if (artifactBytes === undefined || aimed === undefined) return found
    const excess = writeModel(pruned(subject, found.removed)).length - artifactBytes
    if (excess <= 0) return found
    aimed -= excess
  }
}
