import { averagePool, maxPool, spelledLayerNorm, squeezeExcite } from '../../zoo/layers.js'
import type { Growth, Map4, Step } from './growth.js'

const divisors = (n: number) => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0)
const one = (make: (g: Growth, x: Map4) => string): Step => {
  return (g) => {
    const x = g.last
    g.add(make(g, x), x.channels)
    return true
  }
}

/** Layers with weights, normalisations, activations and windows, each as networks have them. */
export const layers: Readonly<Record<string, Step>> = {
  conv(g) {
    const { name, channels, size } = g.last
    const to = 2 + g.pick(10)
    const stride = size % 2 === 0 && size > 2 && g.pick(4) === 0 ? 2 : 1
    const options = { k: g.from([1, 3, 5]), stride, dilation: 1 + g.pick(2), bias: g.pick(2) === 0 }
    g.add(g.net.conv(name, channels, to, options), to, size / stride)
    return true
  },
  'grouped conv'(g) {
    const { name, channels } = g.last
    const group = g.from(divisors(channels))
    const to = group * (1 + g.pick(3))
    g.add(g.net.conv(name, channels, to, { group, k: g.from([1, 3]) }), to)
    return true
  },
  'depthwise conv'(g) {
    const { name, channels } = g.last
    const times = 1 + g.pick(2)
    g.add(
      g.net.conv(name, channels, channels * times, { group: channels, bias: g.pick(2) === 0 }),
      channels * times,
    )
    return true
  },
  'transposed conv'(g) {
    const { name, channels, size } = g.last
    if (size > 8) return false
    const to = 2 + g.pick(6)
    const w = g.net.weight([channels, to, 2, 2])
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] }
    g.add(g.net.op('ConvTranspose', [name, w, g.net.weight([to])], attributes), to, size * 2)
    return true
  },
  'one conv twice'(g) {
    const { name, channels, size } = g.last
    const w = g.net.weight([channels, channels, 3, 3])
    const conv = (x: string) => g.net.op('Conv', [x, w], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })
    g.add(conv(g.net.op('Relu', [conv(name)])), channels, size)
    return true
  },
  'dense over channels'(g) {
    const { name, channels } = g.last
    const to = 2 + g.pick(8)
    const rows = g.net.op('Transpose', [name], { perm: [0, 2, 3, 1] })
    const mixed = g.net.op('Add', [
      g.net.op('MatMul', [rows, g.net.weight([channels, to])]),
      g.net.weight([to]),
    ])
    g.add(g.net.op('Transpose', [mixed], { perm: [0, 3, 1, 2] }), to)
    return true
  },
  'batch norm': one((g, x) => g.net.batchNorm(x.name, x.channels)),
  'instance norm': one((g, x) =>
    g.net.op('InstanceNormalization', [
      x.name,
      g.net.weight([x.channels], { around: 1 }),
      g.net.weight([x.channels]),
    ]),
  ),
  'local response norm': one((g, x) => g.net.op('LRN', [x.name], { size: 3, alpha: 2.5 })),
  'layer norm'(g) {
    const { name, channels } = g.last
    const rows = g.net.op('Transpose', [name], { perm: [0, 2, 3, 1] })
    const normal =
      g.pick(2) === 0
        ? spelledLayerNorm(g.net, rows, channels)
        : g.net.op('LayerNormalization', [
            rows,
            g.net.weight([channels], { around: 1 }),
            g.net.weight([channels]),
          ])
    g.add(g.net.op('Transpose', [normal], { perm: [0, 3, 1, 2] }), channels)
    return true
  },
  activation: one((g, x) =>
    g.net.op(
      g.from([
        'Relu',
        'LeakyRelu',
        'Sigmoid',
        'Tanh',
        'HardSwish',
        'HardSigmoid',
        'Elu',
        'Softplus',
        'Erf',
        'Abs',
        'Neg',
        'Cos',
      ]),
      [x.name],
    ),
  ),
  clip: one((g, x) => g.net.op('Clip', [x.name, g.net.scalar(g.from([0, -1, 0.1])), g.net.scalar(6)])),
  'slopes by channel': one((g, x) => g.net.op('PRelu', [x.name, g.net.weight([x.channels, 1, 1])])),
  softmax: one((g, x) =>
    g.net.op(g.from(['Softmax', 'LogSoftmax']), [x.name], { axis: g.from([1, 1, 1, -1]) }),
  ),
  pool(g) {
    const { name, channels, size } = g.last
    const pool = g.from([maxPool, averagePool])
    if (size % 2 === 0 && size > 2 && g.pick(2) === 0) g.add(pool(g.net, name), channels, size / 2)
    else g.add(pool(g.net, name, 3, 1, 1), channels)
    return true
  },
  'squeeze and excite': one((g, x) =>
    squeezeExcite(g.net, x.name, x.channels, 1 + g.pick(4), { gate: g.from(['Sigmoid', 'HardSigmoid']) }),
  ),
  'constant by channel': one((g, x) => {
    const dims = g.from([
      [x.channels, 1, 1],
      [1, x.channels, 1, 1],
      [],
      [1],
      [x.size],
      [x.channels, x.size, x.size],
    ])
    return g.net.op(g.from(['Add', 'Mul', 'Sub', 'Max', 'Min']), [x.name, g.net.weight(dims)])
  }),
}
