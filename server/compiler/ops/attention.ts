import { intAttribute } from '../graph/index.js'
import { contract } from './conv.js'
import { defineOp, type FlowContext, MICROSOFT, product } from './define.js'
import {
  attend,
  attentionMacs,
  byHead,
  fourth,
  type Headed,
  masked,
  merged,
  only,
  parts,
  plus,
  positions,
  present,
  scores,
  withPast,
} from './heads.js'

/** ONNX's own, since opset 23: queries, keys and values [N, heads, T, width] or [N, T, heads · width]. */
export const attention = defineOp({
  op: 'Attention',
  flow(f) {
    const count = (side: 'q' | 'kv') => intAttribute(f.node, `${side}_num_heads`, 1)
    const given = (i: number) => {
      const axes = f.axes(i)
      return axes.length === 4 ? fourth(axes) : byHead(f, axes, axes[2], count(i === 0 ? 'q' : 'kv'))
    }
    const q = given(0)
    const k = withPast(f, given(1), 4)
    const v = withPast(f, given(2), 5)
    masked(f, 3, q)
    if (f.inputs[6]) f.same(f.axes(6)[0], q.n)
    const y = attend(f, q, k, v)
    if (f.axes(0).length === 3)
      f.onPrune((kept, node) => {
        node.attribute('q_num_heads', kept.count(q.heads))
        node.attribute('kv_num_heads', kept.count(k.heads))
      })
    return only(f, [
      () => (f.axes(0).length === 4 ? { axes: [y.n, y.heads, y.t, y.width] } : merged(f, y)),
      () => present(f, k, 1),
      () => present(f, v, 2),
      () => scores(f, q),
    ])
  },
  macs: (c) => attentionMacs(product(c.inputDims(0)), 1, c.inputDims(1).at(-2) ?? 1),
})

/** x[N,T,C] projected by w[C, q + k + v] + b before it attends to itself. */
export const projectedAttention = defineOp({
  op: 'Attention',
  domain: MICROSOFT,
  flow(f) {
    if (intAttribute(f.node, 'do_rotary', 0) === 1) f.decline('it turns positions itself')
    const [n, t, c] = f.axes(0)
    const [wc, joint] = f.axes(1)
    contract(f, c, wc)
    const projected = f.inputs[2] ? plus(f, joint, f.axes(2)[0]) : joint
    const count = intAttribute(f.node, 'num_heads', 1)
    const sizes = hiddenSizes(f, joint.atoms.length)
    const [q, k, v] = parts(f, projected, sizes).map((hidden) => byHead(f, [n, t], hidden, count))
    f.freeze(f.inputs[3]?.axes ?? [], 'attention mixes positions')
    masked(f, 5, q)
    const cached = f.inputs[4] !== undefined || f.node.outputs.length > 1
    if (cached) {
      f.freeze([k.width, v.width], 'a cache keeps keys and values side by side')
      f.freeze(f.inputs[4]?.axes ?? [], 'a cache keeps keys and values side by side')
    }
    const y = attend(f, q, k, v)
    f.onPrune((kept, node) => {
      const heads = kept.count(q.heads)
      const now = [q, k, v].map((side) => heads * kept.count(side.width))
      node.attribute('num_heads', heads)
      if (`${now}` !== `${sizes}`) node.attribute('qkv_hidden_sizes', now)
    })
    const cache = () => [2, n, k.heads, f.outputDims(1)[3], k.width] as const
    return only(f, [
      () => merged(f, y),
      () => ({
        axes: cache().map((a) => (typeof a === 'number' ? positions(f, a) : a)),
      }),
    ])
  },
  macs: (c) => {
    const [n, t, hidden] = c.outputDims()
    return n * t * product(c.inputDims(1)) + attentionMacs(n * t, hidden, t)
  },
})

function hiddenSizes(f: FlowContext, joint: number): readonly number[] {
  const given = f.node.attributes.get('qkv_hidden_sizes')
  return given?.type === 'ints' && given.value.length === 3 ? given.value : [joint / 3, joint / 3, joint / 3]
}

/** Projected queries, keys and values [N, T, heads · width], biased together, or keys and values by heads. */
export const multiHeadAttention = defineOp({
  op: 'MultiHeadAttention',
  domain: MICROSOFT,
  flow(f) {
    const count = intAttribute(f.node, 'num_heads', 1)
    const [q, k, v] = projections(f, count)
    const [keys, values] = [withPast(f, k, 6), withPast(f, v, 7)]
    f.freeze(f.inputs[4]?.axes ?? [], 'attention mixes positions')
    masked(f, 5, q)
    const y = attend(f, q, keys, values)
    f.onPrune((kept, node) => node.attribute('num_heads', kept.count(q.heads)))
    return only(f, [
      () => merged(f, y),
      () => present(f, keys, 1),
      () => present(f, values, 2),
      () => scores(f, q),
    ])
  },
  macs: (c) => {
    const [n, t, hidden] = c.outputDims()
    return attentionMacs(n * t, hidden, c.inputDims(1).at(-2) ?? t)
  },
})

function projections(f: FlowContext, count: number): Headed[] {
  const given = [0, 1, 2].map((i) => f.axes(i))
  if (given.some((axes) => axes.length === 5)) f.decline('its projections are packed')
  const bias = f.inputs[3]?.axes[0]
  if (!bias) return given.map((axes) => (axes.length === 4 ? fourth(axes) : byHead(f, axes, axes[2], count)))
  if (given.some((axes) => axes.length === 4)) f.decline('its keys are laid out by heads and have a bias')
  const own = parts(
    f,
    bias,
    given.map((axes) => axes[2].atoms.length),
  )
  return given.map((axes, i) => byHead(f, axes, plus(f, axes[2], own[i]), count))
}

/** Queries [N, T, heads · width] with fewer heads of keys and values, or all three in one, and a cache. */
export const groupQueryAttention = defineOp({
  op: 'GroupQueryAttention',
  domain: MICROSOFT,
  flow(f) {
    const heads = intAttribute(f.node, 'num_heads', 1)
    const shared = intAttribute(f.node, 'kv_num_heads', heads)
    const [n, t, joint] = f.axes(0)
    const width = joint.atoms.length / (heads + 2 * shared)
    const apart = f.inputs[1]
      ? [joint, f.axes(1)[2], f.axes(2)[2]]
      : parts(f, joint, [heads * width, shared * width, shared * width])
    const q = byHead(f, [n, t], apart[0], heads)
    const k = withPast(f, byHead(f, f.inputs[1] ? f.axes(1) : [n, t], apart[1], shared), 3)
    const v = withPast(f, byHead(f, f.inputs[1] ? f.axes(2) : [n, t], apart[2], shared), 4)
    f.freeze([q.width, k.width], 'the runtime wants multiples of eight')
    f.same(k.width, v.width)
    for (const i of [5, 6, 7, 8, 9]) f.freeze(f.inputs[i]?.axes ?? [], 'attention mixes positions')
    masked(f, 10, q)
    if (f.inputs[11]) f.same(f.axes(11)[0], q.heads)
    const y = attend(f, q, k, v)
    f.onPrune((kept, node) => {
      node.attribute('num_heads', kept.count(q.heads))
      node.attribute('kv_num_heads', kept.count(k.heads))
    })
    return only(f, [() => merged(f, y), () => present(f, k, 1), () => present(f, v, 2), () => scores(f, q)])
  },
  macs: (c) => {
    const [n, t, hidden] = c.outputDims()
    return attentionMacs(n * t, hidden, c.outputDims(1)[2] ?? t)
  },
})
