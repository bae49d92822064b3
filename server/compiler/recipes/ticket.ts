import { EspalierError } from '@espalier/shared'
import type { Dataset } from '../data/index.js'
import { floats, type Graph, type Tensor } from '../graph/index.js'
import { type Evaluation, evaluate } from '../runtime/index.js'
import {
  freshWeights,
  keepLargest,
  type Scope,
  type TrainOptions,
  type TrainProgress,
  train,
  withConstants,
} from '../train/index.js'
import { noShelf, type Shelf } from './shelf.js'
import { sparseLayers } from './sparsify.js'

export interface TicketOptions {
  readonly data: Dataset
  /** What accuracies are measured on; it decides nothing. */
  readonly judge: Dataset
  /** Share of the weights that is zero after the last round. */
  readonly sparsity: number
  readonly rounds: number
  /** Passes over the data in each training; 1 by default. */
  readonly epochs?: number
  /** Steps of the dense training after which the weights are taken that every round begins with; 0 by default. */
  readonly rewind?: number
  /** Draws the weights that the network begins with; its own are taken by default. */
  readonly fresh?: boolean
  /** Whether each layer loses the same share a round (default), or the smallest go wherever they are. */
  readonly scope?: Exclude<Scope, 'erk'>
  /** Layer by layer: what the rate of the last layer is of that of the others; 0.5 by default, as in the paper. */
  readonly lastRate?: number
  readonly training?: Omit<TrainOptions, 'epochs' | 'sparsity' | 'keepZeros' | 'seed' | 'from' | 'until'>
  readonly seed?: number
}

export interface Round {
  readonly sparsity: number
  readonly top1Ticket: number | null
  /** The same mask on weights drawn anew; in the first round, without a mask, the dense network so drawn. */
  readonly top1Random: number | null
  /** As `Evaluation` has it: what there is of data with targets instead of labels. */
  readonly lossTicket: number
  readonly lossRandom: number
}

export interface TicketResult {
  readonly rounds: readonly Round[]
  /** Of the last round, before training: what the ticket is. */
  readonly ticket: Graph
  /** And trained. */
  readonly trained: Graph
}

/**
 * The lottery ticket experiment (Frankle and Carbin 2019, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural
 * Networks"): train, prune the smallest weights, set the others back to where they began, and again. With `rewind` they go
 * back to an early step instead (Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis"). The
 * control is the paper's: the same mask on weights that are drawn anew, trained from the start.
 * @throws OPTION_INVALID, DATA_UNLABELLED, and what `train` throws
 */
export async function ticket(
  graph: Graph,
  options: TicketOptions,
  on: (what: string, progress: TrainProgress) => void = () => {},
  { shelf = noShelf, signal }: { shelf?: Shelf; signal?: AbortSignal } = {},
): Promise<TicketResult> {
  const { data, judge, rounds, epochs = 1, rewind = 0, seed = 0 } = options
  const schedule = scheduleOf(graph, options)
  if (!judge.labels && !judge.targets)
    throw new EspalierError('DATA_UNLABELLED', 'accuracies need labels, or targets: give labelled --eval')
  const learn = (name: string, start: Graph, more: Pick<TrainOptions, 'from' | 'until'>) =>
    shelf.graph(name, async () => {
      const how = {
        ...options.training,
        ...more,
        epochs,
        seed,
        keepZeros: true,
        checkpoint: shelf.checkpoint(name),
      }
      return (await train(start, data, how, (p) => on(name, p), signal)).graph
    })
  const judged = async (name: string, network: Graph) => {
    let known: Promise<Evaluation> | undefined
    const answers = () => {
      known ??= evaluate(network, judge, { signal })
      return known
    }
    return {
      top1: judge.labels ? await shelf.figure(name, async () => (await answers()).top1 ?? 0) : null,
      loss: await shelf.figure(`${name}-loss`, async () => (await answers()).loss ?? 0),
    }
  }
  const first = options.fresh ? freshWeights(graph, seed) : graph
  const start = rewind > 0 ? await learn('early', first, { until: rewind }) : first
  const other = freshWeights(graph, seed + 1_000_003)
  const found: Round[] = []
  let mask: Masks = new Map()
  for (let r = 0; ; r++) {
    const begun = withMasks(start, mask)
    const trained = await learn(`ticket-${r}`, begun, { from: rewind })
    const control = await learn(`random-${r}`, withMasks(other, mask), {})
    const [ours, others] = [await judged(`ticket-${r}`, trained), await judged(`random-${r}`, control)]
    found.push({
      sparsity: sparsityOf(mask),
      ...{ top1Ticket: ours.top1, top1Random: others.top1 },
      ...{ lossTicket: ours.loss, lossRandom: others.loss },
    })
    if (r === rounds) return { rounds: found, ticket: begun, trained }
    mask = smallestGone(trained, schedule(r + 1))
  }
}

type Masks = ReadonlyMap<string, Uint8Array>

/** How sparse each layer is after a round; with the scope `global` all of them together. */
function scheduleOf(graph: Graph, options: TicketOptions): (round: number) => number | number[] {
  const { sparsity, rounds, scope = 'layer', lastRate = 0.5 } = options
  const layers = sparseLayers(graph)
  const wrong =
    !(sparsity > 0 && sparsity < 1) || rounds < 1
      ? `a sparsity of ${sparsity} in ${rounds} rounds is no experiment; give a share above 0 and below 1, and a round or more`
      : layers.length === 0
        ? 'the network has no convolution or matrix product with constant float weights'
        : undefined
  if (wrong) throw new EspalierError('OPTION_INVALID', wrong)
  if (scope === 'global') return (round) => 1 - (1 - sparsity) ** (round / rounds)
  const rates = (p: number) => layers.map((_, k) => (k === layers.length - 1 && k > 0 ? p * lastRate : p))
  const total = layers.reduce((n, l) => n + l.weights, 0)
  const left = (p: number) => rates(p).reduce((n, rate, k) => n + layers[k].weights * (1 - rate) ** rounds, 0)
  let [low, high] = [0, 1]
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2
    if (left(middle) > (1 - sparsity) * total) low = middle
    else high = middle
  }
  return (round) => rates(low).map((rate) => 1 - (1 - rate) ** round)
}

function smallestGone(graph: Graph, shares: number | number[]): Masks {
  const layers = sparseLayers(graph).map((l) => l.weight)
  const sizes = layers.map((name) => (graph.constant(name)!.data as Float32Array).map(Math.abs))
  const masks = keepLargest(sizes, shares)
  return new Map(layers.map((name, k) => [name, masks[k]]))
}

function withMasks(graph: Graph, masks: Masks): Graph {
  const changed = new Map<string, Tensor>()
  for (const [name, mask] of masks) {
    const { dims, data } = graph.constant(name)!
    changed.set(
      name,
      floats(
        dims,
        (data as Float32Array).map((v, i) => (mask[i] ? v : 0)),
      ),
    )
  }
  return withConstants(graph, changed)
}

function sparsityOf(masks: Masks): number {
  const all = [...masks.values()]
  const count = all.reduce((n, m) => n + m.length, 0)
  return count === 0 ? 0 : all.reduce((n, m) => n + m.reduce((z, v) => z + (v ? 0 : 1), 0), 0) / count
}
