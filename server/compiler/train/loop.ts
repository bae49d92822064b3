import { EspalierError } from '@espalier/shared'
import { isLabelled, staysOnDisk } from '../data/index.js'
import { elementCount, type Graph, type Tensor } from '../graph/index.js'
import { toRuntime } from '../runtime/index.js'
import { batchesAhead, batchesNow } from './ahead.js'
import { openStep } from './blocks.js'
import { diverged } from './diverged.js'
import { frozenWeights } from './frozen.js'
import { goalOf } from './goal.js'
import { learningOf } from './learning.js'
import { MovingAverage } from './moving-average.js'
import {
  peakOf,
  requireSense,
  type Samples,
  type TrainHistory,
  type TrainOptions,
  type TrainProgress,
} from './options.js'
import { batchOf } from './prepare.js'
import { remembering } from './remembering.js'
import { sparsifierOf } from './sparse/index.js'
import { type Best, Stopping } from './stopping.js'
import { trainingGraph } from './training-graph.js'
import { unfold } from './unfold.js'
import { copyOf, restore, Weights } from './weights.js'

/** Everything that a run needs to go on where it was: taken between two steps. */
export interface TrainState {
  readonly step: number
  /** What the network runs with, running averages included. */
  readonly weights: ReadonlyMap<string, Float32Array>
  /** What the optimiser moves, and beside it learns. */
  readonly learnt: readonly Float32Array[]
  readonly sparsity: readonly Uint8Array[]
  readonly optimizer: readonly Float32Array[]
  readonly average?: ReadonlyMap<string, Float32Array>
  readonly stopping?: { readonly best?: Best; readonly losses: readonly number[] }
  readonly losses: readonly number[]
  readonly rights: readonly number[]
  readonly seconds: number
}

export interface Loop {
  readonly history: TrainHistory
  /** New values of the constants that changed, running averages included. */
  readonly constants: ReadonlyMap<string, Tensor>
  /** Of its end, copied: a run that takes it up has nothing left to do. */
  state(): TrainState
}

export interface LoopHooks {
  on(progress: TrainProgress): void
  /** Called between steps; `state` copies. Ends the run when it throws. */
  between?(state: () => TrainState): void
  /** Called for every weight of every step with what the network ran with, before anything changes. */
  gradients?(name: string, weight: Float32Array, gradient: Float32Array): void
  readonly resume?: TrainState
}

const PROGRESS_MS = 500

/**
 * Trains in this process, blocking its event loop for the length of one step at a time; see `train` for a process
 * of its own.
 * @throws GRADIENT_UNKNOWN, MODEL_INVALID, MODEL_UNSUPPORTED, DATA_SHAPE_MISMATCH, DATA_LABELS_INVALID,
 *   DATA_UNLABELLED, OPTION_INVALID, TRAINING_DIVERGED
 */
export async function trainHere(
  graph: Graph,
  samples: Samples,
  options: TrainOptions,
  hooks: LoopHooks,
): Promise<Loop> {
  requireSense(options, samples)
  const unfolded = options.unfold && (await unfold(graph, samples, options))
  if (!unfolded) return trained(graph, samples, options, hooks)
  const loop = await trained(unfolded.graph, samples, options, hooks)
  return { ...loop, constants: unfolded.folded(loop.constants) }
}

async function trained(
  graph: Graph,
  samples: Samples,
  options: TrainOptions,
  hooks: LoopHooks,
): Promise<Loop> {
  const { epochs = 1 } = options
  const goal = goalOf(graph, samples, options)
  const { data } = goal
  const batch = Math.min(options.batch ?? 64, data.count)
  const frozen = frozenWeights(graph, options.freeze ?? [])
  const tg = await trainingGraph(graph, {
    shapes: batchOf(graph, batch, data),
    batchNorm: options.batchNorm ?? 'batch',
    loss: goal.loss,
    frozen: (name) => frozen.has(name),
    dropout: options.dropout ?? true,
    memory: options.memory,
    available: process.availableMemory(),
  })
  const { logits, dims } = tg.outputs.get(goal.answer)!
  const classes = elementCount(dims) / batch
  requireLabels(data, classes, goal.byData)
  const plan = { batch, outputs: classes, input: graph.inputs[0].name, noise: tg.noise }
  const perEpoch = Math.floor(data.count / batch)
  const steps = Math.min(epochs * perEpoch, options.maxSteps ?? Number.POSITIVE_INFINITY)
  const weights = new Weights(graph, tg)
  const { names, values } = weights
  const feeds = weights.feeds()
  const { resume } = hooks
  const sparse = sparsifierOf(graph, weights, options, { steps, lr: peakOf(options) })
  const learning = learningOf(weights, sparse, options, steps)
  const average = options.average ? new MovingAverage(values, options.average) : undefined
  const stopping = options.stopping && new Stopping(graph, weights, options.stopping, resume?.stopping)
  const known = new Set(tg.graph.inputs.map((i) => i.name))
  const session = await openStep(tg.graph)
  const losses = [...(resume?.losses ?? [])]
  const rights = [...(resume?.rights ?? [])]
  if (resume) {
    restore(resume.weights, values)
    takeUp(resume.learnt, learning.arrays)
    takeUp(resume.sparsity, sparse.state)
    takeUp(resume.optimizer, learning.optimizer.state)
    if (average && resume.average) restore(resume.average, average.values)
  }
  const first = resume?.step ?? options.from ?? 0
  const last = Math.min(steps, options.until ?? steps)
  const teacher = await goal.guide(batch, classes)
  const guide = teacher && remembering(teacher, data, options, plan, (last - first) / perEpoch)
  const started = performance.now()
  const secondsSoFar = () => (resume?.seconds ?? 0) + (performance.now() - started) / 1000
  const reading = (options.readAhead ?? staysOnDisk(data)) ? batchesAhead : batchesNow
  const batches = reading(data, options, plan, { first, last })
  let told = performance.now()
  let toldStep = first
  let ended = stopping?.ended ?? false
  let step = first
  const state = (): TrainState => ({
    step,
    weights: copyOf(values),
    learnt: learning.arrays.map((a) => a.slice()),
    sparsity: sparse.state.map((a) => a.slice()),
    optimizer: learning.optimizer.state.map((s) => s.slice()),
    average: average && copyOf(average.values),
    stopping: stopping && { best: stopping.best, losses: stopping.losses },
    losses,
    rights,
    seconds: secondsSoFar(),
  })
  try {
    for (; step < last && !ended; step++) {
      hooks.between?.(state)
      const epoch = Math.floor(step / perEpoch)
      const { fed, ...drawn } = await batches.next()
      const given = Object.fromEntries([...fed].map(([name, fed]) => [name, toRuntime(fed)]))
      for (const [name, tensor] of Object.entries(given)) if (known.has(name)) feeds[name] = tensor
      if (guide) Object.assign(feeds, await guide(given, drawn))
      sparse.before(step)
      const results = await session.run(feeds)
      const array = (name: string) => results[name].data as Float32Array
      const loss = array(tg.loss)[0]
      const gradients = names.map((n) => array(tg.gradients.get(n)!))
      if (hooks.gradients)
        for (const [k, n] of names.entries()) hooks.gradients(n, values.get(n)!, gradients[k])
      if (!learning.step(step, loss, gradients))
        throw await diverged(tg.graph, feeds, {
          step,
          loss,
          lr: learning.rate(step),
          samples: positions(data, drawn.indices),
        })
      weights.average(step, array)
      average?.take(step, values)
      losses.push(loss)
      rights.push(data.labels ? countRight(array(logits), data.labels, drawn.indices, classes) / batch : 0)
      for (const result of Object.values(results)) result.dispose()
      if (stopping && (step + 1) % perEpoch === 0) {
        sparse.before(step + 1)
        ended = !(await stopping.goesOn(epoch + 1, average?.sparseAs(values) ?? values))
      }
      const now = performance.now()
      if (now - told < PROGRESS_MS && step > first && step + 1 < last && !ended) continue
      const done = step + 1 - toldStep
      const perSecond = (done * batch * 1000) / (now - told)
      const overall = ((step + 1 - first) * batch * 1000) / (now - started)
      hooks.on({
        step: step + 1,
        steps: last,
        epoch: epoch + 1,
        loss: mean(losses.slice(-done)),
        accuracy: data.labels ? mean(rights.slice(-done)) : null,
        ...(stopping && { held: stopping.losses.at(-1) }),
        imagesPerSecond: perSecond,
        secondsLeft: ended ? 0 : ((last - step - 1) * batch) / overall,
      })
      told = now
      toldStep = step + 1
    }
  } finally {
    await batches.close()
    await session.release()
    await guide?.release()
  }
  sparse.before(step)
  const final = average?.sparseAs(values) ?? values
  stopping?.take(final)
  return {
    state,
    constants: weights.constants(final),
    history: {
      steps: step,
      lossFirst: losses[0] ?? Number.NaN,
      lossLast: mean(losses.slice(-Math.max(1, Math.round(step / 10)))),
      seconds: secondsSoFar(),
      imagesPerSecond: ((step - first) * batch * 1000) / (performance.now() - started),
      epochs: Array.from({ length: Math.ceil(losses.length / perEpoch) }, (_, e) => {
        const part = <T>(list: readonly T[]) => list.slice(e * perEpoch, (e + 1) * perEpoch)
        const accuracy = data.labels ? mean(part(rights)) : null
        return { loss: mean(part(losses)), accuracy, ...(stopping && { held: stopping.losses[e] }) }
      }),
      ...(stopping?.best && { bestEpoch: stopping.best.epoch }),
      ...(tg.memory && { memory: tg.memory }),
    },
  }
}

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length

/** Where samples were in what was read. */
const positions = ({ origin }: Samples, indices: Uint32Array) =>
  origin ? indices.map((i) => origin[i]) : indices

function requireLabels(data: Samples, classes: number, needed: boolean): void {
  if (!isLabelled(data) && needed)
    throw new EspalierError(
      'DATA_UNLABELLED',
      'the data have no labels; give labelled data, or a --teacher to learn from',
    )
  const wrong = data.labels?.find((l) => l < 0 || l >= classes)
  if (wrong !== undefined)
    throw new EspalierError(
      'DATA_LABELS_INVALID',
      `label ${wrong} is beyond the network's ${classes} classes, 0 to ${classes - 1}`,
    )
}

function countRight(logits: Float32Array, labels: Int32Array, indices: Uint32Array, classes: number): number {
  let right = 0
  for (let i = 0; i < indices.length; i++) {
    let best = 0
    for (let c = 1; c < classes; c++) if (logits[i * classes + c] > logits[i * classes + best]) best = c
    if (best === labels[indices[i]]) right++
  }
  return right
}

function takeUp<T extends Float32Array | Uint8Array>(from: readonly T[], to: readonly T[]): void {
  for (const [i, value] of from.entries()) to[i].set(value)
}
