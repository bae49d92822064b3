import { elementCount, floats, intAttribute, intsAttribute } from '../../graph/index.js'
import { windowOf } from '../gradients/index.js'
import type { Lowering, LoweringPlace, Lowerings } from './rule.js'

const spatial = ({ node, shape }: LoweringPlace) =>
  shape(node.inputs[0]).flatMap((_, i) => (i < 2 ? [] : [i]))

/** |x|^p */
const powered = ({ g, node }: LoweringPlace, p: number) => {
  const [x] = node.inputs
  if (p === 1) return g.op('Abs', [x])
  return p === 2 ? g.mul(x, x) : g.op('Pow', [g.op('Abs', [x]), g.scalar(p)])
}

const rooted = ({ g }: LoweringPlace, sum: string, p: number) => {
  if (p === 1) return sum
  return p === 2 ? g.op('Sqrt', [sum]) : g.op('Pow', [sum, g.scalar(1 / p)])
}

const globalLpPool: Lowering = (place) => {
  const p = intAttribute(place.node, 'p', 2)
  return [rooted(place, place.g.sum(powered(place, p), spatial(place), true), p)]
}

/** Sums over windows are a depthwise convolution of ones. */
const lpPool: Lowering = (place) => {
  const { g, node, shape } = place
  const p = intAttribute(node, 'p', 2)
  const [, channels, ...input] = shape(node.inputs[0])
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  const { strides, dilations, before, after } = windowOf(node, kernel, input, shape(node.outputs[0]).slice(2))
  const ones = floats([channels, 1, ...kernel], new Float32Array(channels * elementCount(kernel)).fill(1))
  const sum = g.op('Conv', [powered(place, p), g.constant(ones)], {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [...before, ...after],
    group: channels,
  })
  return [rooted(place, sum, p)]
}

export const pools: Lowerings = {
  GlobalMaxPool: (place) => [place.g.reduce('ReduceMax', place.node.inputs[0], spatial(place))],
  GlobalLpPool: globalLpPool,
  LpPool: lpPool,
}
