import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from './net.js'

const HEADS = 4
const WIDTH = 3
const HIDDEN = HEADS * WIDTH

/** A transformer block with separate projections; sizes come partly from the input's own shape. */
export function attention(): Graph {
  const n = new Net('attention')
  const x = n.input('x', ['n', 'length', 10])
  const embedded = n.op('MatMul', [x, n.weight([10, HIDDEN])])
  const sizes = n.op('Shape', [x])
  const batch = n.op('Gather', [sizes, n.ints([0])])
  const length = n.op('Slice', [sizes, n.ints([1]), n.ints([2])])
  const apart = n.op('Concat', [batch, length, n.ints([HEADS]), n.ints([WIDTH])], { axis: 0 })
  const together = n.op('Concat', [batch, length, n.ints([HIDDEN])], { axis: 0 })
  const project = (perm: readonly number[]) => {
    const y = n.op('Add', [n.op('MatMul', [embedded, n.weight([HIDDEN, HIDDEN])]), n.weight([HIDDEN])])
    return n.op('Transpose', [n.op('Reshape', [y, apart])], { perm })
  }
  const scores = n.op('MatMul', [project([0, 2, 1, 3]), project([0, 2, 3, 1])])
  const weights = n.op('Softmax', [n.op('Div', [scores, n.scalar(Math.sqrt(WIDTH))])], { axis: -1 })
  const seen = n.op('Transpose', [n.op('MatMul', [weights, project([0, 2, 1, 3])])], { perm: [0, 2, 1, 3] })
  const mixed = n.op('MatMul', [n.op('Reshape', [seen, together]), n.weight([HIDDEN, HIDDEN])])
  return n.build(feedForward(n, n.op('Add', [embedded, mixed])))
}

/** One projection for queries, keys and values, cut by Reshape, Transpose and Gather. */
export function fusedAttention(): Graph {
  const n = new Net('fused attention')
  const x = n.input('x', ['n', 5, 10])
  const all = n.op('Add', [n.op('MatMul', [x, n.weight([10, 3 * HIDDEN])]), n.weight([3 * HIDDEN])])
  const apart = n.op('Reshape', [all, n.ints([0, 0, 3, HEADS, WIDTH])])
  const turned = n.op('Transpose', [apart], { perm: [2, 0, 3, 1, 4] })
  const part = (i: number) => {
    const cut = n.op('Slice', [turned, n.ints([i]), n.ints([i + 1]), n.ints([0])])
    return n.op('Squeeze', [cut, n.ints([0])])
  }
  const scores = n.op('MatMul', [part(0), n.op('Transpose', [part(1)], { perm: [0, 1, 3, 2] })])
  const seen = n.op('MatMul', [n.op('Softmax', [scores], { axis: -1 }), part(2)])
  const merged = n.op('Reshape', [n.op('Transpose', [seen], { perm: [0, 2, 1, 3] }), n.ints([0, 0, HIDDEN])])
  return n.build(feedForward(n, n.op('MatMul', [merged, n.weight([HIDDEN, HIDDEN])])))
}

function feedForward(n: Net, x: string): string {
  const normal = n.op('LayerNormalization', [x, n.weight([HIDDEN], { around: 1 }), n.weight([HIDDEN])])
  const wide = n.op('Add', [n.op('MatMul', [normal, n.weight([HIDDEN, 16])]), n.weight([16])])
  const bent = n.op('Mul', [
    wide,
    n.op('Add', [n.op('Erf', [n.op('Div', [wide, n.scalar(Math.SQRT2)])]), n.scalar(1)]),
  ])
  return n.op('MatMul', [
    n.op('Add', [x, n.op('MatMul', [bent, n.weight([16, HIDDEN])])]),
    n.weight([HIDDEN, 3]),
  ])
}
