import { floats } from '@espalier/server/compiler/graph/index.js'
import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, type Example, type Examples, SIZE, sequence, withChannelsAfter } from './through.js'

const HEADS = 4
const WIDTH = 8
const LENGTH = SIZE * SIZE

const linear = (n: Net, x: string, to: number, from = CHANNELS) =>
  n.op('Add', [n.op('MatMul', [x, n.weight([from, to])]), n.weight([to])])

/** Projections of a sequence into [n, length, heads · width]. */
const project = (n: Net, x: string, heads = HEADS, width = WIDTH) => linear(n, x, heads * width)

/** The same as [n, heads, length, width]. */
const apart = (n: Net, x: string, heads = HEADS, width = WIDTH) =>
  n.op('Transpose', [n.op('Reshape', [project(n, x, heads, width), n.ints([0, 0, heads, width])])], {
    perm: [0, 2, 1, 3],
  })

interface Wanted {
  readonly opset?: number
  readonly channels?: number
  readonly groups: readonly number[]
}

const attending = (
  rule: (n: Net, h: string) => string,
  { opset = 23, channels = HEADS * WIDTH, groups }: Wanted,
): Example => ({ ...sequence(rule, { opset, channels }), groups: withChannelsAfter(groups) })

const causal = (n: Net) =>
  n.constant(
    'm',
    floats(
      [LENGTH, LENGTH],
      Array.from({ length: LENGTH * LENGTH }, (_, i) => (i % LENGTH > Math.floor(i / LENGTH) ? -1e4 : 0)),
    ),
  )

/** cos and sin of positions times width/2 frequencies. */
const angles = (n: Net, half: number) =>
  [Math.cos, Math.sin].map((turn) =>
    n.constant(
      'a',
      floats(
        [LENGTH, half],
        Array.from({ length: LENGTH * half }, (_, i) =>
          turn(Math.floor(i / half) * 50 ** -((i % half) / half)),
        ),
      ),
    ),
  )

const heads = { num_heads: HEADS }
const places = (n: Net) =>
  n.constant('p', {
    dtype: 'int64',
    dims: [2, LENGTH],
    data: BigInt64Array.from({ length: 2 * LENGTH }, (_, i) => BigInt(i % LENGTH)),
  })

export const attention: Examples = {
  Attention: [
    attending(
      (n, h) =>
        n.op('Attention', [project(n, h), project(n, h), project(n, h)], {
          q_num_heads: HEADS,
          kv_num_heads: HEADS,
        }),
      { groups: [HEADS, CHANNELS, WIDTH, WIDTH] },
    ),
    attending(
      (n, h) =>
        n.op('Attention', [project(n, h), project(n, h, 2), project(n, h, 2, 5), causal(n)], {
          q_num_heads: HEADS,
          kv_num_heads: 2,
        }),
      { channels: HEADS * 5, groups: [2, 2, 5, CHANNELS, WIDTH] },
    ),
    attending(
      (n, h) => {
        const y = n.op('Attention', [apart(n, h), apart(n, h), apart(n, h)], { is_causal: 1 })
        return n.op('Reshape', [
          n.op('Transpose', [y], { perm: [0, 2, 1, 3] }),
          n.ints([0, 0, HEADS * WIDTH]),
        ])
      },
      { groups: [HEADS, CHANNELS, WIDTH, WIDTH] },
    ),
  ],
  'com.microsoft.Attention': [
    attending((n, h) => n.op('Attention', [h, n.weight([CHANNELS, 96]), n.weight([96])], heads, MICROSOFT), {
      groups: [HEADS, CHANNELS, WIDTH, WIDTH],
    }),
    attending(
      (n, h) =>
        n.op(
          'Attention',
          [h, n.weight([CHANNELS, 84]), n.weight([84])],
          { ...heads, qkv_hidden_sizes: [32, 32, 20], unidirectional: 1 },
          MICROSOFT,
        ),
      { channels: 20, groups: [HEADS, 5, CHANNELS, WIDTH] },
    ),
  ],
  'com.microsoft.MultiHeadAttention': [
    attending(
      (n, h) => n.op('MultiHeadAttention', [project(n, h), project(n, h), project(n, h)], heads, MICROSOFT),
      { groups: [HEADS, CHANNELS, WIDTH, WIDTH] },
    ),
    attending(
      (n, h) => {
        const raw = (to: number) => n.op('MatMul', [h, n.weight([CHANNELS, to])])
        return n.op('MultiHeadAttention', [raw(32), raw(32), raw(20), n.weight([84])], heads, MICROSOFT)
      },
      { channels: 20, groups: [HEADS, 5, CHANNELS, WIDTH] },
    ),
  ],
  'com.microsoft.GroupQueryAttention': [
    attending(
      (n, h) => {
        const lengths = n.constant('k', {
          dtype: 'int32',
          dims: [2],
          data: Int32Array.of(LENGTH - 1, LENGTH - 1),
        })
        const total = n.constant('k', { dtype: 'int32', dims: [], data: Int32Array.of(LENGTH) })
        const inputs = [project(n, h), project(n, h, 2), project(n, h, 2), '', '', lengths, total]
        return n.op('GroupQueryAttention', inputs, { ...heads, kv_num_heads: 2 }, MICROSOFT)
      },
      { groups: [2, 2, CHANNELS] },
    ),
  ],
  RotaryEmbedding: [
    attending(
      (n, h) => {
        const turn = (x: string) => n.op('RotaryEmbedding', [x, ...angles(n, WIDTH / 2), places(n)], heads)
        const inputs = [turn(project(n, h)), turn(project(n, h)), project(n, h)]
        return n.op('Attention', inputs, { q_num_heads: HEADS, kv_num_heads: HEADS })
      },
      { groups: [HEADS, WIDTH / 2, CHANNELS, WIDTH] },
    ),
    attending(
      (n, h) => {
        const table = angles(n, WIDTH / 4)
        return n.op('RotaryEmbedding', [project(n, h), ...table, places(n)], {
          ...heads,
          rotary_embedding_dim: WIDTH / 2,
        })
      },
      { groups: [HEADS, CHANNELS] },
    ),
  ],
  'com.microsoft.RotaryEmbedding': [
    attending(
      (n, h) =>
        n.op(
          'RotaryEmbedding',
          [project(n, h), places(n), ...angles(n, WIDTH / 2)],
          { interleaved: 1 },
          MICROSOFT,
        ),
      { groups: [HEADS, WIDTH / 2, CHANNELS] },
    ),
  ],
}
