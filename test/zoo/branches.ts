import { type Architecture, averagePool, convBn, maxPool, relu } from './layers.js'
import { Net } from './net.js'

/** Szegedy et al. 2016 (Inception v3): branches of several kernels, appended; 7×7 as 1×7 and 7×1. */
function inception() {
  const n = new Net('Inception')
  const image = n.input('x', ['n', 3, 16, 16])
  const first = maxPool(n, convBn(n, convBn(n, image, 3, 10), 10, 20), 3, 2, 1)
  const a = convBn(n, first, 20, 10, { k: 1 })
  const b = convBn(n, convBn(n, first, 20, 10, { k: 1 }), 10, 20, { k: 5 })
  const c = convBn(n, convBn(n, convBn(n, first, 20, 10, { k: 1 }), 10, 10), 10, 10)
  const pooled = convBn(n, averagePool(n, first, 3, 1, 1), 20, 10, { k: 1 })
  const mixed = n.op('Concat', [a, b, c, pooled], { axis: 1 })
  const row = { k: [1, 7] }
  const column = { k: [7, 1] }
  const d = convBn(n, mixed, 50, 10, { k: 1 })
  const e = convBn(n, convBn(n, convBn(n, mixed, 50, 10, { k: 1 }), 10, 10, row), 10, 20, column)
  const down = n.op('Concat', [d, e, maxPool(n, mixed, 3, 1, 1)], { axis: 1 })
  return n.build(n.head(down, 80))
}

/** Huang et al. 2017: each layer reads all before it, normalised anew each time. */
function denseNet() {
  const n = new Net('DenseNet')
  const growth = 10
  let x = n.conv(n.input('x', ['n', 3, 12, 12]), 3, 20, { bias: false })
  let channels = 20
  for (const layers of [2, 2]) {
    const all = [x]
    for (let i = 0; i < layers; i++) {
      const joined = all.length > 1 ? n.op('Concat', all, { axis: 1 }) : x
      const narrow = n.conv(relu(n, n.batchNorm(joined, channels)), channels, 2 * growth, {
        k: 1,
        bias: false,
      })
      all.push(n.conv(relu(n, n.batchNorm(narrow, 2 * growth)), 2 * growth, growth, { bias: false }))
      channels += growth
    }
    const transition = relu(n, n.batchNorm(n.op('Concat', all, { axis: 1 }), channels))
    x = averagePool(n, n.conv(transition, channels, channels / 2, { k: 1, bias: false }))
    channels /= 2
  }
  return n.build(n.head(relu(n, n.batchNorm(x, channels)), channels))
}

export const branching: readonly Architecture[] = [
  {
    name: 'Inception',
    peculiarity: 'branches of unlike kernels appended; a pool carries the input into the next concatenation',
    make: inception,
  },
  {
    name: 'DenseNet',
    peculiarity: 'one channel is read by all later layers, each with a normalisation of its own',
    make: denseNet,
  },
]
