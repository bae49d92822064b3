import {
  type Architecture,
  averagePool,
  convBn,
  linear,
  maxPool,
  relu,
  sizeOf,
  transpose,
  view,
} from './layers.js'
import { Net } from './net.js'

/** torchvision's channel_shuffle: view as groups, transpose, view back, sizes from the tensor itself. */
function shuffle(n: Net, x: string, channels: number, groups: number): string {
  const sizes = [0, 2, 3].map((axis) => sizeOf(n, x, axis))
  const apart = view(n, x, sizes[0], groups, channels / groups, sizes[1], sizes[2])
  return view(n, transpose(n, apart, 0, 2, 1, 3, 4), sizes[0], -1, sizes[1], sizes[2])
}

/** Zhang et al. 2018: pointwise convolutions in groups, a shuffle between them. */
function shuffleNet1() {
  const n = new Net('ShuffleNet 1')
  const groups = 2
  const unit = (x: string, from: number, to: number, stride: number) => {
    const made = stride === 1 ? to : to - from
    const narrow = convBn(n, x, from, 20, { k: 1, group: groups })
    const deep = convBn(n, shuffle(n, narrow, 20, groups), 20, 20, { stride, group: 20, act: linear })
    const y = convBn(n, deep, 20, made, { k: 1, group: groups, act: linear })
    if (stride === 1) return relu(n, n.op('Add', [x, y]))
    return relu(n, n.op('Concat', [averagePool(n, x, 3, 2, 1), y], { axis: 1 }))
  }
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 20)
  x = unit(x, 20, 60, 2)
  x = unit(x, 60, 60, 1)
  return n.build(n.head(x, 60))
}

/** Ma et al. 2018: half of the channels passes by; both halves are appended and shuffled. */
function shuffleNet2() {
  const n = new Net('ShuffleNet 2')
  const right = (x: string, from: number, to: number, stride: number) => {
    const first = convBn(n, x, from, to, { k: 1 })
    return convBn(n, convBn(n, first, to, to, { stride, group: to, act: linear }), to, to, { k: 1 })
  }
  const down = (x: string, from: number, to: number) => {
    const deep = convBn(n, x, from, from, { stride: 2, group: from, act: linear })
    const left = convBn(n, deep, from, to / 2, { k: 1 })
    return shuffle(n, n.op('Concat', [left, right(x, from, to / 2, 2)], { axis: 1 }), to, 2)
  }
  const flat = (x: string, channels: number) => {
    const half = channels / 2
    const [a, b] = n.ops('Split', [x, n.ints([half, half])], 2, { axis: 1 })
    return shuffle(n, n.op('Concat', [a, right(b, half, half, 1)], { axis: 1 }), channels, 2)
  }
  let x = maxPool(n, convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 10, {}), 3, 2, 1)
  x = flat(flat(down(x, 10, 40), 40), 40)
  x = flat(down(x, 40, 60), 60)
  return n.build(n.head(convBn(n, x, 60, 80, { k: 1 }), 80))
}

export const shuffleNets: readonly Architecture[] = [
  {
    name: 'ShuffleNet 1',
    peculiarity: 'grouped pointwise convolutions, channels shuffled between groups',
    make: shuffleNet1,
  },
  {
    name: 'ShuffleNet 2',
    peculiarity: 'channels split in halves, one passes by, appended and shuffled, block after block',
    make: shuffleNet2,
  },
]
