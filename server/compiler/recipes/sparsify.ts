import { EspalierError } from '@espalier/shared'
import { layerAxes } from '../analysis/index.js'
import { type Dataset, isLabelled } from '../data/index.js'
import { floats, type Graph, type Tensor } from '../graph/index.js'
import { type WeightCriterionName, weightCriteria, weightScores } from '../saliency/index.js'
import {
  keepLargest,
  keepPattern,
  type Pattern,
  type Scope,
  type SparsityPlan,
  sharesOf,
  sparsifyingMethods,
  type TrainHistory,
  type TrainOptions,
  type TrainProgress,
  train,
  withConstants,
} from '../train/index.js'

/** Criteria of which weights go: by a score before any training, or by what training makes of them. */
export const sparsifyCriteria: readonly string[] = [
  ...new Set([...Object.keys(weightCriteria), ...sparsifyingMethods]),
].sort()

export interface SparsifyOptions {
  /** The share of the weights of convolutions and matrix products that becomes zero. */
  readonly sparsity?: number
  /** Instead of a share: how many of each few weights in a row stay. */
  readonly pattern?: Pattern
  /** One of `sparsifyCriteria`; magnitude by default. */
  readonly criterion?: string
  /** Whether each layer loses the same share (default), or the lowest go wherever they are. */
  readonly scope?: Scope
  /** What criteria of the loss and training look at. */
  readonly data?: Dataset
  /** Passes over the data after (or with `gradual` while) weights become zero; 0 by default. */
  readonly epochs?: number
  /** Zeros become more over the passes instead of all at once; by magnitude alone. */
  readonly gradual?: boolean
  /** Further options of the passes. */
  readonly training?: Omit<TrainOptions, 'epochs' | 'sparsity' | 'keepZeros' | 'seed'>
  /** Further options of making zeros while training. */
  readonly plan?: Omit<SparsityPlan, 'method' | 'sparsity' | 'scope'>
  readonly seed?: number
}

export interface SparseLayer {
  readonly weight: string
  readonly weights: number
  readonly zeros: number
}

export interface SparsifyResult {
  readonly graph: Graph
  readonly layers: readonly SparseLayer[]
  /** Share of all their weights that is exactly zero. */
  readonly sparsity: number
  readonly history?: TrainHistory
}

/**
 * Unstructured and n:m pruning: sets single weights of convolutions and matrix products to zero, at once by a score or
 * while the network is trained, and keeps them there through the training that follows. No shape changes.
 * @throws OPTION_INVALID, DATA_UNLABELLED, GRADIENT_UNKNOWN, MODEL_UNSUPPORTED for a network without such weights, and what
 *   `train` throws
 */
export async function sparsify(
  graph: Graph,
  options: SparsifyOptions,
  on: (progress: TrainProgress) => void = () => {},
  signal?: AbortSignal,
): Promise<SparsifyResult> {
  requireSense(options)
  const { criterion = 'magnitude', data, epochs = 0, seed = 0, scope, training } = options
  if (sparseLayers(graph).length === 0)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      'the network has no convolution or matrix product with constant float weights; there is nothing to set to zero',
    )
  const learn = async (start: Graph, how: Pick<TrainOptions, 'sparsity' | 'keepZeros'>) => {
    if (!data) throw new EspalierError('OPTION_INVALID', 'training needs data: give --data')
    const teacher = isLabelled(data) ? undefined : { graph }
    return train(start, data, { teacher, ...training, ...how, epochs, seed }, on, signal)
  }
  if (trainsZeros(options)) {
    const method = sparsifyingMethods.find((m) => m === criterion) ?? 'magnitude'
    const { graph: made, history } = await learn(graph, {
      sparsity: { ...options.plan, method, sparsity: options.sparsity, scope },
    })
    return { graph: made, ...summary(made), history }
  }
  const zeroed = await withZeros(graph, options)
  if (epochs === 0) return { graph: zeroed, ...summary(zeroed) }
  const { graph: made, history } = await learn(zeroed, { keepZeros: true })
  return { graph: made, ...summary(made), history }
}

const trainsZeros = ({ criterion = 'magnitude', gradual }: SparsifyOptions) =>
  gradual === true || !(criterion in weightCriteria)

async function withZeros(
  graph: Graph,
  { criterion = 'magnitude', data, seed, scope = 'layer', sparsity = 0, pattern }: SparsifyOptions,
): Promise<Graph> {
  const scores = await weightScores(criterion as WeightCriterionName, graph, data, { seed })
  const names = [...scores.keys()]
  const layers = layerAxes(graph)
  const masks = pattern
    ? names.map((name) =>
        keepPattern(scores.get(name)!, graph.constant(name)!.dims, layers.get(name)!.reads, pattern),
      )
    : keepLargest(
        [...scores.values()],
        sharesOf(
          scope,
          names.map((name) => graph.constant(name)!.dims),
          sparsity,
        ),
      )
  const zeroed = new Map<string, Tensor>()
  for (const [k, name] of names.entries()) {
    const { dims, data } = graph.constant(name)!
    const mask = masks[k]
    zeroed.set(
      name,
      floats(
        dims,
        (data as Float32Array).map((v, i) => (mask[i] ? v : 0)),
      ),
    )
  }
  return withConstants(graph, zeroed)
}

/** The weights that can become sparse, and how many of them are zero. */
export function sparseLayers(graph: Graph): SparseLayer[] {
  return [...layerAxes(graph).keys()].flatMap((weight) => {
    const value = graph.constant(weight)
    if (value?.dtype !== 'float32') return []
    const data = value.data as Float32Array
    return [{ weight, weights: data.length, zeros: data.reduce((n, v) => n + (v === 0 ? 1 : 0), 0) }]
  })
}

function summary(graph: Graph): Pick<SparsifyResult, 'layers' | 'sparsity'> {
  const layers = sparseLayers(graph)
  const sum = (of: 'zeros' | 'weights') => layers.reduce((n, l) => n + l[of], 0)
  return { layers, sparsity: sum('zeros') / sum('weights') }
}

/** @throws OPTION_INVALID */
function requireSense(options: SparsifyOptions): void {
  const { sparsity, pattern, criterion = 'magnitude', epochs = 0, gradual, data } = options
  const free = criterion === 'soft-movement' || criterion === 'str'
  const share = sparsity !== undefined && sparsity > 0 && sparsity < 1
  const wrong = !sparsifyCriteria.includes(criterion)
    ? `'${criterion}' is not a criterion; choose one of ${sparsifyCriteria.join(', ')}`
    : free
      ? (sparsity !== undefined || pattern) &&
        `by ${criterion} how sparse a network becomes follows from its training; leave --sparsity and --pattern out`
      : pattern
        ? (sparsity !== undefined || trainsZeros(options) || !(pattern.n > 0 && pattern.n < pattern.m)) &&
          'a --pattern is n:m with n below m, stands without --sparsity, and is made at once, by a score'
        : !share && `say how many weights go: --sparsity above 0 and below 1, or --pattern (got ${sparsity})`
  const untrained =
    trainsZeros(options) && epochs < 1
      ? `${gradual ? 'gradual zeros' : criterion} come while the network is trained; say for how many epochs: --finetune`
      : gradual && criterion !== 'magnitude' && criterion !== 'movement'
        ? 'zeros become more by degrees by magnitude or movement alone'
        : epochs > 0 && !data
          ? 'training needs data: give --data'
          : undefined
  if (wrong || untrained) throw new EspalierError('OPTION_INVALID', wrong || untrained || '')
}
