import { setImmediate } from 'node:timers/promises'
import { EspalierError } from '@espalier/shared'
import { BatchReader, type Dataset, isLabelled } from '../data/index.js'
import { elementCount, floats, type Graph, type Tensor } from '../graph/index.js'
import { openSession, run } from './session.js'

export interface Evaluation {
  readonly n: number
  /** The share answered rightly; null without labels. */
  readonly top1: number | null
  /**
   * Mean cross-entropy in nats; of data with targets the mean over outputs of the binary cross-entropy where they are 0 and 1,
   * else of the squared error. null without either.
   */
  readonly loss: number | null
  readonly seconds: number
  /** The class that was answered, by sample. */
  readonly predictions: Int32Array
  /** By class: how many samples it has, and how many of them were answered rightly. Empty without labels. */
  readonly classes: readonly { readonly n: number; readonly right: number }[]
}

export interface EvaluateOptions {
  /** Samples at a time, where the network's batch is dynamic; default 64. */
  readonly batch?: number
  readonly on?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * Runs a classifier over the data, yielding to the event loop between batches. The output that data are for, its first if they
 * do not say, is [batch, classes]: logits, or probabilities where the network ends in Softmax; of any shape for targets.
 * @throws MODEL_UNRUNNABLE; MODEL_UNSUPPORTED where it cannot be loaded or its output is not one row a sample.
 */
export async function evaluate(
  graph: Graph,
  data: Dataset,
  { batch = 64, on, signal }: EvaluateOptions = {},
): Promise<Evaluation> {
  const [input] = graph.inputs
  const output = graph.outputs.find((o) => o.name === data.answer) ?? graph.outputs[0]
  const fixed = input.dims?.[0]
  const step = typeof fixed === 'number' ? fixed : batch
  const errorOf = targetError(data.targets, graph.producer(output.name)?.op)
  const logProbability = logProbabilityOf(graph.producer(output.name)?.op)
  const predictions = new Int32Array(data.count)
  const counts: { n: number; right: number }[] = []
  let loss = 0
  let right = 0
  const started = performance.now()
  let reader: BatchReader | undefined
  const session = await openSession(graph)
  try {
    for (let from = 0; from < data.count; from += step) {
      await setImmediate()
      signal?.throwIfAborted()
      const to = Math.min(data.count, from + step)
      const size = typeof fixed === 'number' ? fixed : to - from
      if (reader?.size !== size) reader = new BatchReader(data, size, input.name)
      await reader.read(Array.from({ length: to - from }, (_, i) => from + i))
      const outputs = await run(session, Object.fromEntries(reader.fed), [output.name])
      const rows = rowsOf(outputs[output.name], size, data.targets !== undefined)
      for (let i = from; i < to; i++) {
        const row = rows(i - from)
        const answer = argMax(row)
        predictions[i] = answer
        if (data.targets) loss += errorOf(row, data.targets, i)
        if (!data.labels) continue
        const label = data.labels[i]
        counts[label] ??= { n: 0, right: 0 }
        counts[label].n++
        loss -= logProbability(row, label)
        if (answer !== label) continue
        counts[label].right++
        right++
      }
      on?.(to, data.count)
    }
  } finally {
    await session.release()
  }
  return {
    n: data.count,
    top1: data.labels ? right / data.count : null,
    loss: isLabelled(data) ? loss / data.count : null,
    seconds: (performance.now() - started) / 1000,
    predictions,
    classes: Array.from(counts, (c) => c ?? { n: 0, right: 0 }),
  }
}

/** The share of samples that two evaluations of the same data answer alike. */
export function agreement(a: Evaluation, b: Evaluation): number {
  let same = 0
  for (let i = 0; i < a.n; i++) if (a.predictions[i] === b.predictions[i]) same++
  return same / a.n
}

function rowsOf(output: Tensor | undefined, batch: number, anyShape: boolean): (i: number) => Float32Array {
  const { dtype, dims, data } = output ?? floats([0], [])
  const classes = elementCount(dims) / batch
  const flat = anyShape || dims.slice(1).filter((d) => d !== 1).length <= 1
  if (dtype !== 'float32' || dims[0] !== batch || !flat)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the network's output is ${dtype} [${dims}] for a batch of ${batch}; accuracy is defined for float32 [batch, classes]`,
    )
  return (i) => (data as Float32Array).subarray(i * classes, (i + 1) * classes)
}

function argMax(row: Float32Array): number {
  let best = 0
  for (let c = 1; c < row.length; c++) if (row[c] > row[best]) best = c
  return best
}

/** The error of one row of outputs against its targets. */
function targetError(targets: Float32Array | undefined, lastOp: string | undefined) {
  const binary = targets?.every((v) => v === 0 || v === 1)
  return (row: Float32Array, wanted: Float32Array, sample: number): number => {
    const at = sample * row.length
    let sum = 0
    for (let k = 0; k < row.length; k++) {
      const t = wanted[at + k]
      if (!binary) sum += (row[k] - t) ** 2
      else if (lastOp === 'Sigmoid') sum -= Math.log(Math.max(t ? row[k] : 1 - row[k], 1e-12))
      else sum += Math.max(row[k], 0) - row[k] * t + Math.log1p(Math.exp(-Math.abs(row[k])))
    }
    return sum / row.length
  }
}

type LogProbability = (row: Float32Array, label: number) => number

function logProbabilityOf(lastOp: string | undefined): LogProbability {
  if (lastOp === 'LogSoftmax') return (row, label) => row[label]
  if (lastOp === 'Softmax') return (row, label) => Math.log(Math.max(row[label], 1e-12))
  return (row, label) => {
    const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    return row[label] - most - Math.log(row.reduce((sum, v) => sum + Math.exp(v - most), 0))
  }
}
