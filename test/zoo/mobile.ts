import {
  type Activation,
  type Architecture,
  convBn,
  hardSwish,
  linear,
  relu,
  relu6,
  silu,
  squeezeExcite,
} from './layers.js'
import { Net } from './net.js'

const depthwise = (n: Net, x: string, channels: number, act: Activation, { k = 3, stride = 1 } = {}) =>
  convBn(n, x, channels, channels, { k, stride, group: channels, act })

/** Howard et al. 2017: depthwise, then pointwise. */
function mobileNet1() {
  const n = new Net('MobileNet 1')
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, { stride: 2 })
  for (const [from, to, stride] of [
    [10, 20, 1],
    [20, 40, 2],
    [40, 40, 1],
  ])
    x = convBn(n, depthwise(n, x, from, relu, { stride }), from, to, { k: 1 })
  return n.build(n.head(x, 40))
}

interface Inverted {
  readonly from: number
  readonly wide: number
  readonly to: number
  readonly k?: number
  readonly stride?: number
  readonly act: Activation
  /** Channels of the squeeze; none without. */
  readonly squeezed?: number
  readonly gate?: string
}

/** Sandler et al. 2018: expand, depthwise, project without activation; a residual between the narrow ends. */
function inverted(n: Net, x: string, b: Inverted): string {
  const wide = b.wide === b.from ? x : convBn(n, x, b.from, b.wide, { k: 1, act: b.act })
  const deep = depthwise(n, wide, b.wide, b.act, b)
  const gated = b.squeezed
    ? squeezeExcite(n, deep, b.wide, b.squeezed, {
        act: b.gate === 'HardSigmoid' ? relu : b.act,
        gate: b.gate,
      })
    : deep
  const y = convBn(n, gated, b.wide, b.to, { k: 1, act: linear })
  return b.from === b.to && (b.stride ?? 1) === 1 ? n.op('Add', [x, y]) : y
}

function mobileNet2() {
  const n = new Net('MobileNet 2')
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, { stride: 2, act: relu6 })
  for (const [from, wide, to, stride] of [
    [10, 10, 10, 1],
    [10, 60, 20, 2],
    [20, 120, 20, 1],
    [20, 120, 20, 1],
  ])
    x = inverted(n, x, { from, wide, to, stride, act: relu6 })
  return n.build(n.head(convBn(n, x, 20, 80, { k: 1, act: relu6 }), 80))
}

/** Howard et al. 2019: gates, hard-swish, a dense layer after pooling. */
function mobileNet3() {
  const n = new Net('MobileNet 3')
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, { stride: 2, act: hardSwish })
  const gate = 'HardSigmoid'
  x = inverted(n, x, { from: 10, wide: 10, to: 10, act: relu, squeezed: 10, gate })
  x = inverted(n, x, { from: 10, wide: 40, to: 20, stride: 2, act: relu })
  x = inverted(n, x, { from: 20, wide: 60, to: 20, k: 5, act: hardSwish, squeezed: 20, gate })
  x = inverted(n, x, { from: 20, wide: 60, to: 20, k: 5, act: hardSwish, squeezed: 20, gate })
  x = n.op('Flatten', [n.op('GlobalAveragePool', [convBn(n, x, 20, 60, { k: 1, act: hardSwish })])])
  return n.build(n.dense(hardSwish(n, n.dense(x, 60, 80)), 80, 5))
}

/** Tan & Le 2019: SiLU, squeeze from the block's input width. */
function efficientNet1() {
  const n = new Net('EfficientNet 1')
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, { stride: 2, act: silu })
  x = inverted(n, x, { from: 10, wide: 10, to: 10, act: silu, squeezed: 10 })
  x = inverted(n, x, { from: 10, wide: 60, to: 20, k: 5, stride: 2, act: silu, squeezed: 10 })
  x = inverted(n, x, { from: 20, wide: 120, to: 20, k: 5, act: silu, squeezed: 10 })
  return n.build(n.head(convBn(n, x, 20, 80, { k: 1, act: silu }), 80))
}

/** Tan & Le 2021: the first stages fuse expansion and depthwise into one full convolution. */
function efficientNet2() {
  const n = new Net('EfficientNet 2')
  const fused = (x: string, from: number, wide: number, to: number, stride: number) => {
    const y = convBn(n, convBn(n, x, from, wide, { stride, act: silu }), wide, to, { k: 1, act: linear })
    return from === to && stride === 1 ? n.op('Add', [y, x]) : y
  }
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, { act: silu })
  x = n.op('Add', [convBn(n, x, 10, 10, { act: silu }), x])
  x = fused(x, 10, 40, 20, 2)
  x = fused(x, 20, 80, 20, 1)
  x = inverted(n, x, { from: 20, wide: 80, to: 30, stride: 2, act: silu, squeezed: 10 })
  x = inverted(n, x, { from: 30, wide: 180, to: 30, act: silu, squeezed: 10 })
  return n.build(n.head(convBn(n, x, 30, 80, { k: 1, act: silu }), 80))
}

/** Han et al. 2020: half the channels are made from the other half by a cheap depthwise convolution. */
function ghostNet() {
  const n = new Net('GhostNet')
  const ghost = (x: string, from: number, to: number, act: Activation) => {
    const primary = convBn(n, x, from, to / 2, { k: 1, act })
    return n.op('Concat', [primary, depthwise(n, primary, to / 2, act)], { axis: 1 })
  }
  const bottleneck = (x: string, from: number, wide: number, to: number, stride: number, squeezed = 0) => {
    let y = ghost(x, from, wide, relu)
    if (stride > 1) y = depthwise(n, y, wide, linear, { stride })
    if (squeezed) y = squeezeExcite(n, y, wide, squeezed, { gate: 'HardSigmoid' })
    y = ghost(y, wide, to, linear)
    if (stride === 1 && from === to) return n.op('Add', [y, x])
    const short = convBn(n, depthwise(n, x, from, linear, { stride }), from, to, { k: 1, act: linear })
    return n.op('Add', [y, short])
  }
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 20, { stride: 2 })
  x = bottleneck(x, 20, 40, 20, 1)
  x = bottleneck(x, 20, 60, 40, 2)
  x = bottleneck(x, 40, 80, 40, 1, 20)
  return n.build(n.head(convBn(n, x, 40, 60, { k: 1 }), 60))
}

export const mobiles: readonly Architecture[] = [
  {
    name: 'MobileNet 1',
    peculiarity: 'depthwise convolutions tie the channels before and after them',
    make: mobileNet1,
  },
  { name: 'MobileNet 2', peculiarity: 'inverted residuals, activations clipped at six', make: mobileNet2 },
  { name: 'MobileNet 3', peculiarity: 'gates by squeeze-and-excitation, hard-swish', make: mobileNet3 },
  { name: 'EfficientNet 1', peculiarity: 'SiLU as x·σ(x), gates', make: efficientNet1 },
  {
    name: 'EfficientNet 2',
    peculiarity: 'fused blocks of full convolutions before inverted residuals',
    make: efficientNet2,
  },
  {
    name: 'GhostNet',
    peculiarity: 'a channel and its ghost, appended, go together through two concatenations',
    make: ghostNet,
  },
]
