import { EspalierError } from '@espalier/shared'
import { type DType, elementCount } from '../graph/index.js'
import type { Builder } from '../ops/index.js'

/** One output of the network, as a loss sees it. */
export interface Output {
  /** The value as the network gives it. */
  readonly value: string
  /** What a final Softmax, LogSoftmax or Sigmoid is given; the value itself where there is none. */
  readonly logits: string
  /** Shape for a whole batch. */
  readonly dims: readonly number[]
}

export interface LossContext {
  /** Where the loss writes its nodes, of any operators that have gradients. */
  readonly g: Builder
  /** By the names of the network's outputs, in their order. */
  readonly outputs: ReadonlyMap<string, Output>
  /** Declares a further input of the training graph (targets, a teacher's answers) and gives its name back. */
  input(name: string, dtype: DType, dims: readonly number[]): string
}

/** Computes a scalar from the network's outputs; losses add up to losses. Its gradient follows from its nodes. */
export type LossOf = (context: LossContext) => string

export interface LossTerms {
  /** The output that is compared with labels, targets or a teacher's. */
  readonly answer: string
  /** Share of the teacher in the loss, 0 to 1; the labels have the rest. */
  readonly teacherShare: number
  readonly temperature: number
}

/** Names of the inputs that hold the target distribution and the teacher's logits, both [batch, classes]. */
export const TARGETS = 'espalier.targets'
export const TEACHER_LOGITS = 'espalier.teacher'

/** Name of the input that holds a teacher's output. */
export const teacherInput = (output: string): string => `espalier.teacher/${output}`

/** One loss, and a share of another. */
export const added =
  (loss: LossOf, other: LossOf, share: number): LossOf =>
  (context) =>
    context.g.add(loss(context), context.g.scale(other(context), share))

function answerOf(outputs: LossContext['outputs'], name: string): Output {
  const output = outputs.get(name)
  if (output) return output
  throw new EspalierError('OPTION_INVALID', `the network has no output '${name}' of float32 numbers`)
}

/**
 * How far the outputs `names` are from a teacher's, for networks of any outputs (detectors, sequences): of each the mean
 * squared difference as a share of the mean square of what the teacher gives, so that none outweighs the others, and the
 * mean of those (outputs matched as hints are in Romero et al. 2015, "FitNets").
 */
export const matching =
  (names: readonly string[]): LossOf =>
  ({ g, outputs, input }) => {
    const mean = (x: string, dims: readonly number[]) => {
      const squares = g.reshape(g.mul(x, x), [elementCount(dims)])
      return g.scale(g.sum(squares, [0]), 1 / elementCount(dims))
    }
    const shares = names.map((name) => {
      const { value, dims } = outputs.get(name)!
      const wanted = input(teacherInput(name), 'float32', dims)
      return g.div(mean(g.sub(value, wanted), dims), g.add(mean(wanted, dims), g.scalar(1e-6)))
    })
    return g.scale(
      shares.reduce((a, b) => g.add(a, b)),
      1 / shares.length,
    )
  }

/**
 * The mean over batch and outputs of an error of each output alone, (1 − s) of it against targets and s against a teacher's:
 * `mse`, (y − t)², or `bce`, the binary cross-entropy of sigmoid(z).
 */
export const eachOutput =
  (kind: 'bce' | 'mse', { teacherShare: share, answer }: Omit<LossTerms, 'temperature'>): LossOf =>
  ({ g, outputs, input }) => {
    const { logits, value, dims } = answerOf(outputs, answer)
    const [batch] = dims
    const count = elementCount(dims) / batch
    const y = g.reshape(kind === 'bce' ? logits : value, [batch, count])
    const mean = (total: string, by: number) => g.scale(g.sum(total, [0, 1]), by / (batch * count))
    const error = (wanted: string) => {
      if (kind === 'bce') return g.sub(g.op('Softplus', [y]), g.mul(y, wanted))
      const gap = g.sub(y, wanted)
      return g.mul(gap, gap)
    }
    const parts: string[] = []
    if (share < 1) parts.push(mean(error(input(TARGETS, 'float32', [batch, count])), 1 - share))
    if (share > 0) {
      const given = input(TEACHER_LOGITS, 'float32', [batch, count])
      parts.push(mean(error(kind === 'bce' ? g.op('Sigmoid', [given]) : given), share))
    }
    return parts.length === 1 ? parts[0] : g.add(parts[0], parts[1])
  }

/**
 * (1 − s) · cross-entropy(targets, softmax(z)) + s · T² · KL(softmax(t / T) ‖ softmax(z / T)), the mean over the batch,
 * the mix of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2;
 * T² keeps the two gradients of one size. The output is [batch, classes].
 * @throws MODEL_UNSUPPORTED if it is not
 */
export const classification =
  ({ teacherShare: share, temperature, answer }: LossTerms): LossOf =>
  ({ g, outputs, input }) => {
    const { logits: z, dims } = answerOf(outputs, answer)
    const [batch, classes] = dims
    if (elementCount(dims) !== batch * classes)
      throw new EspalierError(
        'MODEL_UNSUPPORTED',
        `training on labels needs an output [batch, classes]; '${answer}' is [${dims.join(', ')}]`,
      )
    const logits = dims.length === 2 ? z : g.reshape(z, [batch, classes])
    const parts: string[] = []
    if (share < 1) {
      const targets = input(TARGETS, 'float32', [batch, classes])
      const total = g.sum(g.mul(targets, g.op('LogSoftmax', [logits], { axis: 1 })), [0, 1])
      parts.push(g.scale(total, -(1 - share) / batch))
    }
    if (share > 0) {
      const given = input(TEACHER_LOGITS, 'float32', [batch, classes])
      const softened = g.op('LogSoftmax', [g.scale(logits, 1 / temperature)], { axis: 1 })
      const teacher = g.op('LogSoftmax', [g.scale(given, 1 / temperature)], { axis: 1 })
      const divergence = g.sum(g.mul(g.op('Exp', [teacher]), g.sub(teacher, softened)), [0, 1])
      parts.push(g.scale(divergence, (share * temperature ** 2) / batch))
    }
    return parts.length === 1 ? parts[0] : g.add(parts[0], parts[1])
  }
