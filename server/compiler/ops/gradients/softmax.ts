import { intAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

const axisOf = ({ node, shape }: Place) => {
  const rank = shape(node.outputs[0]).length
  return (intAttribute(node, 'axis', -1) + rank) % rank
}

/** y · (dy − Σ y · dy) */
const softmax: GradientRule = (p) => {
  const { g, dy, node } = p
  const weighted = g.mul(dy, node.outputs[0])
  return [g.sub(weighted, g.mul(node.outputs[0], g.sum(weighted, [axisOf(p)], true)))]
}

/** dy − softmax(x) · Σ dy */
const logSoftmax: GradientRule = (p) => {
  const { g, dy, node } = p
  return [g.sub(dy, g.mul(g.op('Exp', [node.outputs[0]]), g.sum(dy, [axisOf(p)], true)))]
}

export const softmaxes: GradientRules = { Softmax: softmax, LogSoftmax: logSoftmax }
