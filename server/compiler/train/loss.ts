import type { Builder } from '../ops/index.js'

export interface LossTerms {
  /** Share of the teacher in the loss, 0 to 1; the labels have the rest. */
  readonly teacherShare: number
  readonly temperature: number
}

export interface Loss {
  /** Scalar: mean over the batch. */
  readonly value: string
  /** Its gradient for the logits, of their shape. */
  readonly gradient: string
}

/** Names of the inputs that hold the target distribution and the teacher's logits, both [batch, classes]. */
export const TARGETS = 'espalier.targets'
export const TEACHER_LOGITS = 'espalier.teacher'

/**
 * (1 − s) · cross-entropy(targets, softmax(z)) + s · T² · KL(softmax(t / T) ‖ softmax(z / T)),
 * the mix of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2;
 * T² keeps the two gradients of one size.
 * @param logits [batch, classes]
 */
export function classificationLoss(g: Builder, logits: string, batch: number, terms: LossTerms): Loss {
  const { teacherShare: share, temperature } = terms
  const parts: Loss[] = []
  if (share < 1) {
    const logProbabilities = g.op('LogSoftmax', [logits], { axis: 1 })
    const total = g.sum(g.mul(TARGETS, logProbabilities), [0, 1])
    const difference = g.sub(g.op('Exp', [logProbabilities]), TARGETS)
    parts.push({
      value: g.scale(total, -(1 - share) / batch),
      gradient: g.scale(difference, (1 - share) / batch),
    })
  }
  if (share > 0) {
    const softened = g.op('LogSoftmax', [g.scale(logits, 1 / temperature)], { axis: 1 })
    const teacher = g.op('LogSoftmax', [g.scale(TEACHER_LOGITS, 1 / temperature)], { axis: 1 })
    const wanted = g.op('Exp', [teacher])
    const divergence = g.sum(g.mul(wanted, g.sub(teacher, softened)), [0, 1])
    parts.push({
      value: g.scale(divergence, (share * temperature ** 2) / batch),
      gradient: g.scale(g.sub(g.op('Exp', [softened]), wanted), (share * temperature) / batch),
    })
  }
  const [first, second] = parts
  if (!second) return first
  return { value: g.add(first.value, second.value), gradient: g.add(first.gradient, second.gradient) }
}
