import { intAttribute } from '../../graph/index.js'
import type { Lowering, Lowerings } from './rule.js'

/** Pairs (a, b) of the width turn by the angle of their position: (a cos − b sin, a sin + b cos). */
const rotaryEmbedding =
  ([cosAt, sinAt, idsAt]: readonly [number, number, number]): Lowering =>
  ({ g, node, shape }) => {
    const [x] = node.inputs
    const ids = node.inputs[idsAt] ?? ''
    const dims = shape(x)
    const table = shape(node.inputs[cosAt])
    const half = table[table.length - 1]
    const turned = intAttribute(node, 'rotary_embedding_dim', 0) || 2 * half
    const heads = intAttribute(node, 'num_heads', 0)
    const width = dims.length === 4 ? dims[3] : heads ? dims[2] / heads : turned
    if (intAttribute(node, 'is_packed_batching', 0) === 1 || (ids && shape(ids).length !== 2))
      return undefined
    const apart = dims.length === 4 ? dims : [dims[0], dims[1], dims[2] / width, width]
    const whole = dims.length === 4 ? x : g.reshape(x, apart)
    const [batch, length] = ids ? shape(ids) : table
    const wide = dims.length === 4 ? [batch, 1, length, half] : [batch, length, 1, half]
    const angles = (at: number) => {
      const all = node.inputs[at]
      return g.reshape(ids ? g.op('Gather', [all, ids], { axis: 0 }) : all, wide)
    }
    const [cos, sin] = [angles(cosAt), angles(sinAt)]
    const part = turned === width ? whole : g.slice(whole, [3], [0], [turned])
    const interleaved = intAttribute(node, 'interleaved', 0) === 1
    const rows = apart.slice(0, 3)
    const pairs = g.reshape(part, [...rows, ...(interleaved ? [half, 2] : [2, half])])
    const axis = interleaved ? 4 : 3
    const side = (i: number) => g.reshape(g.slice(pairs, [axis], [i], [i + 1]), [...rows, half])
    const [a, b] = [side(0), side(1)]
    const now = [g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(a, sin), g.mul(b, cos))]
    const each = now.map((v) => g.reshape(v, [...rows, ...(interleaved ? [half, 1] : [1, half])]))
    const done = g.reshape(g.op('Concat', each, { axis }), [...rows, turned])
    const rest =
      turned === width ? done : g.op('Concat', [done, g.slice(whole, [3], [turned], [width])], { axis: 3 })
    return [g.reshape(rest, dims)]
  }

export const rotary: Lowerings = {
  RotaryEmbedding: rotaryEmbedding([1, 2, 3]),
  'com.microsoft.RotaryEmbedding': rotaryEmbedding([2, 3, 1]),
}
