import { EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import { random, sampleSize, shuffled } from '../data/index.js'
import { elementCount, floats, type Graph, type Tensor } from '../graph/index.js'
import { openSession } from '../runtime/index.js'
import type { NormLayer } from './batch-norm.js'
import { randomMove, sampleWriter, writeTargets } from './batches.js'
import { classification, TARGETS, TEACHER_LOGITS } from './loss.js'
import { adam, clip, type Optimizer, sgd } from './optimizer.js'
import type { Samples, TrainHistory, TrainOptions, TrainProgress } from './options.js'
import { batchOf } from './prepare.js'
import { schedule } from './schedule.js'
import { teacherOf } from './teacher.js'
import { type TrainingGraph, trainingGraph } from './training-graph.js'

/** Everything that a run needs to go on where it was: taken between two steps. */
export interface TrainState {
  readonly step: number
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly optimizer: readonly Float32Array[]
  readonly losses: readonly number[]
  readonly rights: readonly number[]
  readonly seconds: number
}

export interface Loop {
  readonly history: TrainHistory
  /** New values of the constants that changed, running averages included. */
  readonly constants: ReadonlyMap<string, Tensor>
}

export interface LoopHooks {
  on(progress: TrainProgress): void
  /** Called between steps; `state` copies. Ends the run when it throws. */
  between?(state: () => TrainState): void
  readonly resume?: TrainState
}

/** The newest batch weighs at least so much in the running averages; the first steps weigh more. */
const NORM_RATE = 0.03
const PROGRESS_MS = 500

/**
 * Trains in this process, blocking its event loop for the length of one step at a time; see `train` for a process
 * of its own.
 * @throws GRADIENT_UNKNOWN, MODEL_INVALID, MODEL_UNSUPPORTED, DATA_SHAPE_MISMATCH, DATA_LABELS_INVALID,
 *   DATA_UNLABELLED, OPTION_INVALID, TRAINING_DIVERGED
 */
export async function trainHere(
  graph: Graph,
  data: Samples,
  options: TrainOptions,
  hooks: LoopHooks,
): Promise<Loop> {
  const {
    epochs = 1,
    optimizer: kind = 'adam',
    teacher,
    labelSmoothing = 0,
    shift = 0,
    flip = false,
    seed = 0,
  } = options
  if (epochs < 1 || (options.batch ?? 64) < 1)
    throw new EspalierError(
      'OPTION_INVALID',
      `${epochs} epochs in batches of ${options.batch ?? 64} train nothing; both must be at least 1`,
    )
  const batch = Math.min(options.batch ?? 64, data.count)
  const share = !teacher ? 0 : data.labels ? (teacher.share ?? 0.7) : 1
  const tg = await trainingGraph(graph, {
    shapes: batchOf(graph, batch, data.dims),
    batchNorm: options.batchNorm ?? 'batch',
    loss: classification({ teacherShare: share, temperature: teacher?.temperature ?? 4 }),
  })
  const [{ name: input }] = tg.inputs
  const [{ logits, dims }] = tg.outputs.values()
  const classes = elementCount(dims) / batch
  requireLabels(data, classes, share < 1)
  const perEpoch = Math.floor(data.count / batch)
  const steps = Math.min(epochs * perEpoch, options.maxSteps ?? Number.POSITIVE_INFINITY)
  const { values, feeds } = weightsOf(graph, tg)
  const names = [...tg.gradients.keys()]
  const weights = names.map((n) => values.get(n)!)
  const decays = names.map((n) =>
    (graph.constant(n)?.dims.length ?? 0) > 1 ? (options.weightDecay ?? 0) : 0,
  )
  const optimizer: Optimizer =
    kind === 'adam' ? adam(weights, decays) : sgd(weights, decays, options.momentum ?? 0.9)
  const plan = options.schedule ?? 'cosine'
  const rate = schedule(
    plan,
    steps,
    options.lr ?? (kind === 'adam' ? 1e-3 : 0.01),
    options.warmup ?? (plan === 'one-cycle' ? 0.3 : 0.05),
  )
  const size = sampleSize(data)
  const x = new Float32Array(batch * size)
  const targets = new Float32Array(batch * classes)
  feeds[input] = new ort.Tensor('float32', x, [batch, ...data.dims])
  if (share < 1) feeds[TARGETS] = new ort.Tensor('float32', targets, [batch, classes])
  const write = sampleWriter(data)
  const session = await openSession(tg.graph)
  const guide = teacher && share > 0 ? await teacherOf(teacher.graph, batch, data.dims, classes) : undefined

  const losses = [...(hooks.resume?.losses ?? [])]
  const rights = [...(hooks.resume?.rights ?? [])]
  if (hooks.resume) restore(hooks.resume, values, optimizer)
  const first = hooks.resume?.step ?? 0
  const before = hooks.resume?.seconds ?? 0
  const started = performance.now()
  const secondsSoFar = () => before + (performance.now() - started) / 1000
  let order: Uint32Array = new Uint32Array()
  let told = performance.now()
  let toldStep = first
  try {
    for (let step = first; step < steps; step++) {
      hooks.between?.(() => ({
        step,
        weights: new Map([...values].map(([n, v]) => [n, v.slice()])),
        optimizer: optimizer.state.map((s) => s.slice()),
        losses,
        rights,
        seconds: secondsSoFar(),
      }))
      const epoch = Math.floor(step / perEpoch)
      if (step === first || step % perEpoch === 0) order = shuffled(data.count, seed * 7919 + epoch)
      const indices = order.subarray((step % perEpoch) * batch, (step % perEpoch) * batch + batch)
      const draw = random(seed * 104729 + step)
      for (let i = 0; i < batch; i++) write(indices[i], x, i * size, randomMove(draw, shift, flip))
      if (data.labels) writeTargets(targets, data.labels, indices, classes, labelSmoothing)
      if (guide)
        feeds[TEACHER_LOGITS] = new ort.Tensor('float32', await guide(feeds[input]), [batch, classes])
      const results = await session.run(feeds)
      const array = (name: string) => results[name].data as Float32Array
      const loss = array(tg.loss)[0]
      const gradients = names.map((n) => array(tg.gradients.get(n)!))
      const norm = clip(gradients, options.clip === 0 ? Number.POSITIVE_INFINITY : (options.clip ?? 5))
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw diverged(step, loss, rate(step))
      optimizer.update(step + 1, rate(step), weights, gradients)
      for (const layer of tg.norms) average(layer, values, array, Math.max(NORM_RATE, 1 / (step + 1)))
      losses.push(loss)
      rights.push(data.labels ? countRight(array(logits), data.labels, indices, classes) / batch : 0)
      for (const result of Object.values(results)) result.dispose()
      const now = performance.now()
      if (now - told < PROGRESS_MS && step > first && step + 1 < steps) continue
      const done = step + 1 - toldStep
      const perSecond = (done * batch * 1000) / (now - told)
      const overall = ((step + 1 - first) * batch * 1000) / (now - started)
      hooks.on({
        step: step + 1,
        steps,
        epoch: epoch + 1,
        loss: mean(losses.slice(-done)),
        accuracy: data.labels ? mean(rights.slice(-done)) : null,
        imagesPerSecond: perSecond,
        secondsLeft: ((steps - step - 1) * batch) / overall,
      })
      told = now
      toldStep = step + 1
    }
  } finally {
    await session.release()
    await guide?.release()
  }
  return {
    constants: new Map([...values].map(([n, v]) => [n, floats(graph.constant(n)!.dims, v)])),
    history: {
      steps,
      lossFirst: losses[0] ?? Number.NaN,
      lossLast: mean(losses.slice(-Math.max(1, Math.round(steps / 10)))),
      seconds: secondsSoFar(),
      imagesPerSecond: ((steps - first) * batch * 1000) / (performance.now() - started),
      epochs: Array.from({ length: Math.ceil(losses.length / perEpoch) }, (_, e) => {
        const part = <T>(list: readonly T[]) => list.slice(e * perEpoch, (e + 1) * perEpoch)
        return { loss: mean(part(losses)), accuracy: data.labels ? mean(part(rights)) : null }
      }),
    },
  }
}

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length

function requireLabels(data: Samples, classes: number, needed: boolean): void {
  if (!data.labels && needed)
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

/** Copies of everything that training changes, and feeds that look at those copies. */
function weightsOf(graph: Graph, tg: TrainingGraph) {
  const values = new Map<string, Float32Array>()
  const feeds: Record<string, ort.Tensor> = {}
  const copy = (name: string) => {
    const value = graph.constant(name)!
    const data = Float32Array.from(value.data as Float32Array)
    const wrong = data.findIndex((v) => !Number.isFinite(v))
    if (wrong >= 0)
      throw new EspalierError(
        'MODEL_INVALID',
        `weight '${name}' holds ${data[wrong]} at position ${wrong}; it cannot be trained`,
      )
    values.set(name, data)
    return { data, dims: value.dims }
  }
  for (const name of tg.gradients.keys()) {
    const { data, dims } = copy(name)
    feeds[name] = new ort.Tensor('float32', data, dims)
  }
  for (const { mean, variance } of tg.norms) for (const name of [mean, variance]) copy(name)
  return { values, feeds }
}

function average(
  { mean, variance, batchMean, batchVariance, count }: NormLayer,
  values: ReadonlyMap<string, Float32Array>,
  result: (name: string) => Float32Array,
  rate: number,
): void {
  const unbiased = count / Math.max(1, count - 1)
  for (const [running, now, factor] of [
    [values.get(mean)!, result(batchMean), 1],
    [values.get(variance)!, result(batchVariance), unbiased],
  ] as const)
    for (let c = 0; c < running.length; c++) running[c] += rate * (now[c] * factor - running[c])
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

function restore(state: TrainState, values: ReadonlyMap<string, Float32Array>, optimizer: Optimizer): void {
  for (const [name, value] of state.weights) values.get(name)?.set(value)
  for (const [i, value] of state.optimizer.entries()) optimizer.state[i].set(value)
}

const diverged = (step: number, loss: number, lr: number) =>
  new EspalierError(
    'TRAINING_DIVERGED',
    `training diverged at step ${step + 1}: the loss is ${loss} at a learning rate of ${lr.toPrecision(2)}; ` +
      'try a tenth of the learning rate, or look for values that are not numbers in the data',
  )
