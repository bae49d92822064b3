import { elementCount, float, floatAttribute, floats, intAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

const channelwise = (p: Place) => {
  const dims = p.shape(p.node.inputs[0])
  return {
    dims,
    channels: dims[1],
    count: elementCount(dims) / dims[1],
  }
}

/** a · x + b for each channel, in one pass. */
function affine({ g }: Place, x: string, a: string, b: string, channels: number): string {
  const zero = g.constant(floats([channels], new Float32Array(channels)))
  const one = g.constant(floats([channels], new Float32Array(channels).fill(1)))
  return g.op('BatchNormalization', [x, a, b, zero, one], { epsilon: float(0) })
}

/**
 * With statistics of the batch (training mode, whose second and third outputs are the batch's mean and variance),
 * dx is affine in dy and x; otherwise the layer is a fixed scale and shift.
 */
const batchNormalization: GradientRule = (p) => {
  const { g, dy, node } = p
  const [x, scale, , fixedMean, fixedVariance] = node.inputs
  const { dims, channels, count } = channelwise(p)
  const training = intAttribute(node, 'training_mode', 0) === 1
  const epsilon = g.scalar(floatAttribute(node, 'epsilon', 1e-5))
  const mean = training ? p.output(1) : fixedMean
  const variance = training ? p.output(2) : fixedVariance
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(variance, epsilon)])])
  const a = g.mul(scale, inverse)
  const dBias = g.sumByChannel(dy, dims)
  const dScale = () => g.mul(g.sub(g.dotByChannel(dy, x, dims), g.mul(mean, dBias)), inverse)
  const zero = () => g.constant(floats([channels], new Float32Array(channels)))
  if (!training) return [affine(p, dy, a, zero(), channels), p.wants(1) ? dScale() : '', dBias]
  const ds = dScale()
  if (!p.wants(0)) return ['', ds, dBias]
  const b = g.scale(g.mul(g.mul(a, inverse), ds), -1 / count)
  const c = g.sub(g.scale(g.mul(a, dBias), -1 / count), g.mul(b, mean))
  return [g.add(affine(p, dy, a, c, channels), affine(p, x, b, zero(), channels)), ds, dBias]
}

/** What normalisations have in common: x̂ = (x − mean) · inverse over `axes`. */
interface Normalised {
  readonly x: string
  /** Absent where nothing is taken off. */
  readonly mean?: string
  readonly inverse: string
  readonly axes: readonly number[]
}

const meanOver = ({ g }: Place, v: string, axes: readonly number[]) => g.reduce('ReduceMean', v, axes)

/** x̂ and, for its gradient d, inverse · (d − mean d − x̂ · mean (d · x̂)). */
function backThrough(p: Place, { x, mean, inverse, axes }: Normalised) {
  const { g } = p
  const normal = g.mul(mean ? g.sub(x, mean) : x, inverse)
  return {
    normal,
    input(d: string): string {
      const along = g.mul(normal, meanOver(p, g.mul(d, normal), axes))
      const centred = mean ? g.sub(d, meanOver(p, d, axes)) : d
      return g.mul(g.sub(centred, along), inverse)
    },
  }
}

/** Scale and bias broadcast to x; `statistics` gives the rest. Mean and inverse may be read by others as well. */
const scaled =
  (statistics: (p: Place) => Pick<Normalised, 'mean' | 'inverse'>): GradientRule =>
  (p) => {
    const { g, dy, node } = p
    const [x, scale, bias] = node.inputs
    const dims = p.shape(x)
    const first = (intAttribute(node, 'axis', -1) + dims.length) % dims.length
    const axes = dims.flatMap((_, i) => (i < first ? [] : [i]))
    const found = statistics(p)
    const { normal, input } = backThrough(p, { x, axes, ...found })
    const count = elementCount(axes.map((a) => dims[a]))
    const [dMean, dInverse] = found.mean ? p.dys.slice(1) : ['', p.dys[1]]
    const ofInput = () => {
      let dx = dy ? input(g.mul(dy, scale)) : g.zeros(dims)
      if (dMean) dx = g.add(dx, g.scale(dMean, 1 / count))
      // inverse = (variance + ε)^(−1/2), so it falls by inverse² · x̂ / count.
      const fall = () => g.mul(g.mul(found.inverse, found.inverse), normal)
      if (dInverse) dx = g.sub(dx, g.mul(g.scale(dInverse, 1 / count), fall()))
      return dx
    }
    if (!dy) return [ofInput(), p.wants(1) ? g.zeros(p.shape(scale)) : '', bias ? g.zeros(p.shape(bias)) : '']
    return [
      p.wants(0) ? ofInput() : '',
      p.wants(1) ? g.unbroadcast(g.mul(dy, normal), dims, p.shape(scale)) : '',
      bias && p.wants(2) ? g.unbroadcast(dy, dims, p.shape(bias)) : '',
    ]
  }

const layerNormalization = scaled((p) => ({ mean: p.output(1), inverse: p.output(2) }))
const simplified = scaled((p) => ({ inverse: p.output(1) }))

/** Every channel of every sample by itself. */
const instanceNormalization: GradientRule = (p) => {
  const { g, dy, node } = p
  const [x, scale] = node.inputs
  const dims = p.shape(x)
  const axes = dims.flatMap((_, i) => (i < 2 ? [] : [i]))
  const mean = meanOver(p, x, axes)
  const centred = g.sub(x, mean)
  const variance = meanOver(p, g.mul(centred, centred), axes)
  const epsilon = g.scalar(floatAttribute(node, 'epsilon', 1e-5))
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(variance, epsilon)])])
  const { normal, input } = backThrough(p, { x, mean, inverse, axes })
  const wide = g.reshape(scale, [dims[1], ...axes.map(() => 1)])
  return [
    p.wants(0) ? input(g.mul(dy, wide)) : '',
    p.wants(1) ? g.dotByChannel(dy, normal, dims) : '',
    p.wants(2) ? g.sumByChannel(dy, dims) : '',
  ]
}

export const normalizations: GradientRules = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: simplified,
  InstanceNormalization: instanceNormalization,
}
