import { float, floats, int64s, node, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { type Case, type Dims, y } from './check.js'

const microsoft = (op: string, inputs: readonly string[], attributes: Parameters<typeof node>[3] = {}) =>
  node(op, inputs, ['y'], attributes, { domain: 'com.microsoft' })

const ints = (dtype: 'int32' | 'int64', dims: Dims, values: readonly number[]): Tensor => ({
  dtype,
  dims,
  data: dtype === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt),
})

const bools = (dims: Dims, values: readonly number[]): Tensor => ({
  dtype: 'bool',
  dims,
  data: Uint8Array.from(values),
})

/** Compound operators, written out before they are differentiated. */
const attending: readonly Case[] = [
  {
    what: 'Attention of rows, causal, with fewer heads of keys',
    opset: 23,
    nodes: [y('Attention', ['q', 'k', 'v'], { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 })],
    inputs: { q: [2, 3, 8], k: [2, 5, 4], v: [2, 5, 6] },
  },
  {
    what: 'Attention by heads, with a mask and a scale',
    opset: 23,
    nodes: [y('Attention', ['q', 'k', 'v', 'm'], { scale: 0.3 })],
    inputs: { q: [2, 2, 3, 4], k: [2, 2, 5, 4], v: [2, 2, 5, 3] },
    constants: { m: bools([3, 5], [1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1]) },
  },
  {
    what: 'Attention with a cache, a bias that is learned and capped scores',
    opset: 23,
    nodes: [node('Attention', ['q', 'k', 'v', 'm', 'pk', 'pv'], ['y', 'k2', 'v2'], { softcap: float(2) })],
    inputs: {
      q: [2, 2, 3, 4],
      k: [2, 2, 3, 4],
      v: [2, 2, 3, 4],
      m: [3, 5],
      pk: [2, 2, 2, 4],
      pv: [2, 2, 2, 4],
    },
  },
  {
    what: 'com.microsoft.Attention with widths of its own and a mask of keys',
    nodes: [microsoft('Attention', ['x', 'w', 'b', 'm'], { num_heads: 2, qkv_hidden_sizes: [4, 4, 6] })],
    inputs: { x: [2, 3, 5], w: [5, 14], b: [14] },
    within: [-0.7, 0.7],
    constants: { m: ints('int32', [2, 3], [1, 1, 0, 1, 1, 1]) },
  },
  {
    what: 'com.microsoft.Attention in one direction, biased',
    nodes: [microsoft('Attention', ['x', 'w', 'b', '', '', 'bias'], { num_heads: 2, unidirectional: 1 })],
    inputs: { x: [2, 3, 4], w: [4, 12], b: [12], bias: [1, 2, 3, 3] },
  },
  {
    what: 'com.microsoft.MultiHeadAttention with biases and padding',
    nodes: [microsoft('MultiHeadAttention', ['q', 'k', 'v', 'b', 'm'], { num_heads: 2 })],
    inputs: { q: [2, 3, 4], k: [2, 5, 4], v: [2, 5, 6], b: [14] },
    constants: { m: ints('int32', [2, 5], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]) },
  },
  {
    what: 'com.microsoft.GroupQueryAttention of whole sequences',
    nodes: [
      node(
        'GroupQueryAttention',
        ['q', 'k', 'v', '', '', 'lengths', 'total'],
        ['y', 'pk', 'pv'],
        { num_heads: 4, kv_num_heads: 2 },
        { domain: 'com.microsoft' },
      ),
    ],
    inputs: { q: [2, 3, 32], k: [2, 3, 16], v: [2, 3, 16] },
    constants: { lengths: ints('int32', [2], [2, 2]), total: ints('int32', [], [3]) },
    within: [-1, 1],
  },
  ...[0, 1].map(
    (interleaved): Case => ({
      what: `RotaryEmbedding, interleaved ${interleaved}`,
      opset: 23,
      nodes: [y('RotaryEmbedding', ['x', 'cos', 'sin', 'at'], { interleaved, num_heads: 2 })],
      inputs: { x: [2, 3, 8] },
      constants: {
        ...angles([4, 2]),
        at: ints('int64', [2, 3], [0, 1, 2, 1, 2, 3]),
      },
      linear: true,
    }),
  ),
  {
    what: 'RotaryEmbedding of a part of each head, angles of each place given',
    opset: 23,
    nodes: [y('RotaryEmbedding', ['x', 'cos', 'sin'], { rotary_embedding_dim: 4 })],
    inputs: { x: [2, 2, 3, 6] },
    constants: angles([2, 3, 2]),
    linear: true,
  },
  {
    what: 'com.microsoft.RotaryEmbedding',
    nodes: [microsoft('RotaryEmbedding', ['x', 'at', 'cos', 'sin'])],
    inputs: { x: [2, 2, 3, 8] },
    constants: { ...angles([4, 4]), at: ints('int64', [2, 3], [0, 1, 2, 1, 2, 3]) },
    linear: true,
  },
]

function angles(dims: Dims): Readonly<Record<string, Tensor>> {
  const list = Array.from({ length: dims.reduce((n, d) => n * d, 1) }, (_, i) => 0.37 * i + 0.1)
  return { cos: floats(dims, list.map(Math.cos)), sin: floats(dims, list.map(Math.sin)) }
}

const fused: readonly Case[] = [
  { what: 'BiasGelu', nodes: [microsoft('BiasGelu', ['x', 'b'])], inputs: { x: [2, 3, 4], b: [4] } },
  {
    what: 'FastGelu with a bias',
    nodes: [microsoft('FastGelu', ['x', 'b'])],
    inputs: { x: [2, 3, 4], b: [4] },
  },
  {
    what: 'FusedGemm',
    nodes: [
      microsoft('FusedGemm', ['a', 'b', 'c'], { transB: 1, activation: 'LeakyRelu', activation_alpha: 0.3 }),
    ],
    inputs: { a: [3, 4], b: [5, 4], c: [5] },
  },
  {
    what: 'FusedConv',
    nodes: [microsoft('FusedConv', ['x', 'w', 'b'], { activation: 'Tanh', pads: [1, 1, 1, 1] })],
    inputs: { x: [1, 2, 4, 4], w: [3, 2, 3, 3], b: [3] },
    within: [-0.5, 0.5],
  },
]

const normalising: readonly Case[] = [
  ...(
    [
      [18, 2],
      [21, 6],
    ] as const
  ).map(
    ([opset, size]): Case => ({
      what: `GroupNormalization of operator set ${opset}`,
      opset,
      nodes: [y('GroupNormalization', ['x', 's', 'b'], { num_groups: 2 })],
      inputs: { x: [2, 6, 3, 4], s: [size], b: [size] },
    }),
  ),
  {
    what: 'RMSNormalization',
    opset: 23,
    nodes: [y('RMSNormalization', ['x', 's'])],
    inputs: { x: [2, 3, 5], s: [5] },
  },
  {
    what: 'SkipLayerNormalization, its sum read as well',
    nodes: [
      node(
        'SkipLayerNormalization',
        ['x', 'z', 's', 'b', 'c'],
        ['n', '', '', 'sum'],
        {},
        { domain: 'com.microsoft' },
      ),
      y('Mul', ['n', 'sum']),
    ],
    inputs: { x: [2, 3, 4], z: [2, 3, 4], s: [4], b: [4], c: [4] },
  },
  {
    what: 'SkipSimplifiedLayerNormalization',
    nodes: [microsoft('SkipSimplifiedLayerNormalization', ['x', 'z', 's'])],
    inputs: { x: [2, 3, 4], z: [2, 3, 4], s: [4] },
  },
  ...[3, 5].map(
    (size): Case => ({
      what: `LRN over ${size}`,
      nodes: [y('LRN', ['x'], { size, alpha: 0.5, beta: 0.6, bias: 1.5 })],
      inputs: { x: [2, 5, 2, 3] },
    }),
  ),
  ...[1, 2].map(
    (p): Case => ({
      what: `LpNormalization, p ${p}`,
      nodes: [y('LpNormalization', ['x'], { axis: 1, p })],
      inputs: { x: [2, 5, 3] },
    }),
  ),
  {
    what: 'MeanVarianceNormalization',
    nodes: [y('MeanVarianceNormalization', ['x'])],
    inputs: { x: [2, 3, 2, 4] },
  },
]

const moving: readonly Case[] = [
  ...['reflect', 'edge', 'wrap'].map(
    (mode): Case => ({
      what: `Pad by ${mode}`,
      opset: 19,
      nodes: [y('Pad', ['x', 'pads'], { mode })],
      inputs: { x: [2, 4, 5] },
      constants: { pads: int64s([0, 2, 3, 0, 1, 0]) },
      linear: true,
    }),
  ),
  {
    what: 'CenterCropPad',
    nodes: [y('CenterCropPad', ['x', 'shape'], { axes: [1, 2] })],
    inputs: { x: [2, 6, 3] },
    constants: { shape: int64s([3, 6]) },
    linear: true,
  },
  { what: 'GlobalMaxPool', distinct: true, nodes: [y('GlobalMaxPool', ['x'])], inputs: { x: [2, 3, 4, 5] } },
  {
    what: 'GlobalLpPool',
    nodes: [y('GlobalLpPool', ['x'], { p: 3 })],
    inputs: { x: [2, 3, 4] },
    positive: true,
  },
  {
    what: 'LpPool',
    nodes: [y('LpPool', ['x'], { kernel_shape: [2, 3], strides: [2, 1], pads: [0, 1, 1, 1] })],
    inputs: { x: [2, 3, 5, 4] },
  },
  ...[0, 1].map(
    (align_corners): Case => ({
      what: `AffineGrid, corners ${align_corners}`,
      opset: 20,
      nodes: [y('AffineGrid', ['theta', 'size'], { align_corners })],
      inputs: { theta: [2, 2, 3] },
      constants: { size: int64s([2, 3, 4, 5]) },
      linear: true,
    }),
  ),
  ...(['zeros', 'border'] as const).flatMap((padding_mode) =>
    [0, 1].map(
      (align_corners): Case => ({
        what: `GridSample, ${padding_mode}, corners ${align_corners}`,
        opset: 20,
        nodes: [y('GridSample', ['x', 'grid'], { padding_mode, align_corners })],
        inputs: { x: [2, 3, 4, 5] },
        constants: {
          grid: floats(
            [2, 2, 3, 2],
            Array.from({ length: 24 }, (_, i) => ((i * 37) % 29) / 12 - 1.2),
          ),
        },
        linear: true,
      }),
    ),
  ),
  {
    what: 'GridSample for where it samples',
    opset: 20,
    nodes: [node('Tanh', ['grid'], ['g']), y('GridSample', ['x', 'g'])],
    inputs: { grid: [1, 2, 2, 2] },
    constants: { x: floats([1, 1, 2, 2], [1, 3, -2, 5]) },
    within: [-0.3, -0.1],
  },
  {
    what: 'GridSample, nearest',
    nodes: [y('GridSample', ['x', 'grid'], { mode: 'nearest' })],
    inputs: { x: [1, 2, 4, 5] },
    constants: { grid: floats([1, 1, 3, 2], [-0.9, 0.2, 0.31, 0.77, 1.4, -0.5]) },
    linear: true,
  },
]

export const compound: readonly Case[] = [...attending, ...fused, ...normalising, ...moving].map((c) => ({
  ...c,
  lowered: true,
}))
