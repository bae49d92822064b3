import { floatAttribute, intAttribute, intsAttribute, numbersOf } from '../../graph/index.js'
import type { Builder } from '../gradients/index.js'
import type { Lowering, LoweringPlace, Lowerings } from './rule.js'

/** Low enough that nothing is left of it after Softmax, and finite: a row of nothing else must not become NaN. */
const NEVER = -1e30

/** Queries, keys or values [batch, heads, length, width]. */
interface Heads {
  readonly value: string
  readonly dims: readonly [batch: number, heads: number, length: number, width: number]
}

interface Scoring {
  readonly scale: number
  readonly softcap?: number
  /** Queries see the keys up to their own position; the last query sees all, or the first only the first. */
  readonly causal?: 'from the start' | 'to the end'
  /** Added to the scores, broadcast to [batch, heads, queries, keys]. */
  readonly biases: readonly string[]
}

/** [batch, length, heads · width] by heads, or as it is. */
function byHeads(g: Builder, value: string, dims: readonly number[], heads: number): Heads {
  if (dims.length === 4) return { value, dims: [dims[0], dims[1], dims[2], dims[3]] }
  const [batch, length, hidden] = dims
  const width = hidden / heads
  return {
    value: g.transpose(g.reshape(value, [batch, length, heads, width]), [0, 2, 1, 3]),
    dims: [batch, heads, length, width],
  }
}

/** [batch, length, heads · width] again. */
function merged(g: Builder, { value, dims: [batch, heads, length, width] }: Heads): string {
  return g.reshape(g.transpose(value, [0, 2, 1, 3]), [batch, length, heads * width])
}

/** Every head of keys or values as often as there are queries that share it. */
function repeated(g: Builder, { value, dims }: Heads, heads: number): Heads {
  const [batch, own, length, width] = dims
  if (own === heads) return { value, dims }
  const apart = g.reshape(value, [batch, own, 1, length, width])
  const spread = g.expand(apart, [batch, own, heads / own, length, width])
  const now = [batch, heads, length, width] as const
  return { value: g.reshape(spread, now), dims: now }
}

/** The earlier keys or values before those of now. */
function joined(g: Builder, now: Heads, past: string | undefined, length: number): Heads {
  if (!past) return now
  const [batch, heads, own, width] = now.dims
  return {
    value: g.op('Concat', [past, now.value], { axis: 2 }),
    dims: [batch, heads, own + length, width],
  }
}

/** softmax(scale · q·kᵀ + biases)·v, [batch, heads, queries, width]. */
function attend(
  g: Builder,
  q: Heads,
  keys: Heads,
  values: Heads,
  { scale, softcap = 0, causal, biases }: Scoring,
): Heads {
  const [batch, heads, queries] = q.dims
  const k = repeated(g, keys, heads)
  const v = repeated(g, values, heads)
  const count = k.dims[2]
  let scores = g.matMul(g.scale(q.value, scale), g.transpose(k.value, [0, 1, 3, 2]))
  if (softcap > 0) scores = g.scale(g.op('Tanh', [g.scale(scores, 1 / softcap)]), softcap)
  for (const bias of biases) scores = g.add(scores, bias)
  if (causal) {
    const ahead = causal === 'from the start' ? 0 : count - queries
    const seen = Array.from(
      { length: queries * count },
      (_, i) => (i % count) - Math.floor(i / count) <= ahead,
    )
    scores = g.where(g.bool(seen, [queries, count]), scores, g.scalar(NEVER))
  }
  const y = g.matMul(g.op('Softmax', [scores], { axis: -1 }), v.value)
  return { value: y, dims: [batch, heads, queries, v.dims[3]] }
}

/** What a mask of ones and zeros, or of truth values, adds to the scores. */
const hidden = (g: Builder, mask: string, isBool: boolean, low: number) =>
  g.where(isBool ? mask : g.cast(mask, 'bool'), g.scalar(0), g.scalar(low))

/** ONNX's own, since opset 23. Not with lengths of a padded cache, nor where the scores are an output. */
const attention: Lowering = ({ g, node, shape, dtype }) => {
  const [q3, k3, v3, mask, pastKey, pastValue, lengths] = node.inputs
  if (lengths || node.outputs[3]) return undefined
  const flat = shape(q3).length === 3
  const side = (x: string, heads: string) => byHeads(g, x, shape(x), intAttribute(node, heads, 1))
  const q = side(q3, 'q_num_heads')
  const past = pastKey ? shape(pastKey)[2] : 0
  const k = joined(g, side(k3, 'kv_num_heads'), pastKey, past)
  const v = joined(g, side(v3, 'kv_num_heads'), pastValue, past)
  const y = attend(g, q, k, v, {
    scale: floatAttribute(node, 'scale', 1 / Math.sqrt(q.dims[3])),
    softcap: floatAttribute(node, 'softcap', 0),
    causal: intAttribute(node, 'is_causal', 0) === 1 ? 'from the start' : undefined,
    biases: mask ? [dtype(mask) === 'bool' ? hidden(g, mask, true, NEVER) : mask] : [],
  })
  return [flat ? merged(g, y) : y.value, k.value, v.value]
}

/** A mask of keys [batch, keys] or [batch, queries, keys]; undefined for other forms. */
function paddingOf({ g, shape }: LoweringPlace, mask: string, low: number): string | undefined {
  const dims = shape(mask)
  if (dims.length !== 2 && dims.length !== 3) return undefined
  const wide = dims.length === 2 ? [dims[0], 1, 1, dims[1]] : [dims[0], 1, dims[1], dims[2]]
  return hidden(g, g.reshape(mask, wide), false, low)
}

/** Everything that queries, keys and values in com.microsoft's forms have in common. */
function microsoft(
  place: LoweringPlace,
  [q, k, v]: readonly [Heads, Heads, Heads],
  mask: string | undefined,
  bias: string | undefined,
): Heads | undefined {
  const { g, node } = place
  const low = floatAttribute(node, 'mask_filter_value', -10_000)
  const padding = mask ? paddingOf(place, mask, low) : undefined
  if (mask && !padding) return undefined
  const biases = [padding, bias].filter((b): b is string => Boolean(b))
  return attend(g, q, k, v, {
    scale: floatAttribute(node, 'scale', 0) || 1 / Math.sqrt(q.dims[3]),
    causal: intAttribute(node, 'unidirectional', 0) === 1 ? 'to the end' : undefined,
    biases,
  })
}

/** One after the other along the last axis. */
function parts(g: Builder, joint: string, rank: number, sizes: readonly number[]): string[] {
  let start = 0
  return sizes.map((size) => {
    const from = start
    start += size
    return g.slice(joint, [rank - 1], [from], [start])
  })
}

/** Projects its input itself. Not with a cache or rotary positions. */
const projectedAttention: Lowering = (place) => {
  const { g, node, shape } = place
  const [x, w, b, mask, past, bias] = node.inputs
  if (past || node.outputs[1] || intAttribute(node, 'do_rotary', 0) === 1) return undefined
  const [batch, length] = shape(x)
  const joint = shape(w)[1]
  const sizes = intsAttribute(node, 'qkv_hidden_sizes') ?? [joint / 3, joint / 3, joint / 3]
  const projected = b ? g.add(g.matMul(x, w), b) : g.matMul(x, w)
  const heads = intAttribute(node, 'num_heads', 1)
  const [q, k, v] = parts(g, projected, 3, sizes).map((part, i) =>
    byHeads(g, part, [batch, length, sizes[i]], heads),
  )
  const y = microsoft(place, [q, k, v], mask, bias)
  return y && [merged(g, y)]
}

/** Projections are given apart. Not with packed projections or a cache that it shares. */
const multiHeadAttention: Lowering = (place) => {
  const { g, node, shape } = place
  const [q, k, v, b, mask, bias, pastKey, pastValue] = node.inputs
  if (!k || !v || shape(q).length !== 3 || shape(k).length > 4 || node.outputs[3]) return undefined
  const heads = intAttribute(node, 'num_heads', 1)
  const given = [q, k, v]
  const biases = b
    ? parts(
        g,
        b,
        1,
        given.map((x) => shape(x).at(-1) ?? 0),
      )
    : undefined
  if (b && given.some((x) => shape(x).length !== 3)) return undefined
  const [hq, hk, hv] = given.map((x, i) => byHeads(g, biases ? g.add(x, biases[i]) : x, shape(x), heads))
  const past = pastKey ? shape(pastKey)[2] : 0
  const [keys, values] = [joined(g, hk, pastKey, past), joined(g, hv, pastValue, past)]
  const y = microsoft(place, [hq, keys, values], mask, bias)
  return y && [merged(g, y), keys.value, values.value]
}

/** As it is on whole sequences: without a cache, whose lengths would follow the data, and without rotary positions. */
const groupQueryAttention: Lowering = ({ g, node, shape, constant }) => {
  const [x, k, v, pastKey, , lengths] = node.inputs
  const dims = shape(x)
  const known = lengths ? constant(lengths) : undefined
  const isWhole = known && numbersOf(known).every((last) => last === dims[1] - 1)
  const plain = ['do_rotary', 'softcap', 'smooth_softmax'].every((a) => !intAttribute(node, a, 0))
  if (pastKey || !isWhole || !plain || intAttribute(node, 'local_window_size', -1) > 0) return undefined
  if (node.inputs.slice(7).some((i) => i !== '')) return undefined
  const heads = intAttribute(node, 'num_heads', 1)
  const shared = intAttribute(node, 'kv_num_heads', heads)
  const width = k ? dims[2] / heads : dims[2] / (heads + 2 * shared)
  const [q, keys, values] = k ? [x, k, v] : parts(g, x, 3, [heads * width, shared * width, shared * width])
  const side = (value: string, count: number) => byHeads(g, value, [dims[0], dims[1], count * width], count)
  const [hk, hv] = [side(keys, shared), side(values, shared)]
  const y = attend(g, side(q, heads), hk, hv, {
    scale: floatAttribute(node, 'scale', 0) || 1 / Math.sqrt(width),
    causal: 'to the end',
    biases: [],
  })
  return [merged(g, y), hk.value, hv.value]
}

export const attentions: Lowerings = {
  Attention: attention,
  'com.microsoft.Attention': projectedAttention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
  'com.microsoft.GroupQueryAttention': groupQueryAttention,
}
