import { type Architecture, cut, dense, expand, rest, silu, sizeOf, transpose, view } from './layers.js'
import { Net } from './net.js'

interface Plan {
  readonly vocabulary: number
  readonly width: number
  readonly heads: number
  /** Key and value heads, each shared by heads / groups query heads. */
  readonly groups: number
  readonly head: number
  readonly hidden: number
  readonly layers: number
  readonly positions: number
}

/** Zhang & Sennrich 2019, in primitives as Hugging Face's LlamaRMSNorm exports. */
function rmsNorm(n: Net, x: string, width: number): string {
  const mean = n.op('ReduceMean', [n.op('Pow', [x, n.scalar(2)])], { axes: [-1] })
  const root = n.op('Sqrt', [n.op('Add', [mean, n.scalar(1e-6)])])
  const normal = n.op('Mul', [x, n.op('Div', [n.scalar(1), root])])
  return n.op('Mul', [n.weight([width], { around: 1 }), normal])
}

/** Su et al. 2021: pairs of channels rotated by position; halves swapped as Slice, Neg and Concat. */
function rotated(n: Net, x: string, head: number, cos: string, sin: string): string {
  const half = head / 2
  const turned = n.op('Concat', [n.op('Neg', [rest(n, x, 3, half)]), cut(n, x, 3, 0, half)], {
    axis: -1,
  })
  return n.op('Add', [n.op('Mul', [x, cos]), n.op('Mul', [turned, sin])])
}

/** repeat_kv: every key and value head repeated for the query heads that share it. */
function repeated(n: Net, x: string, { heads, groups, head }: Plan, length: string): string {
  const wide = n.op('Unsqueeze', [x, n.ints([2])])
  const copies = expand(n, wide, sizeOf(n, x, 0), groups, heads / groups, length, head)
  return view(n, copies, sizeOf(n, x, 0), heads, length, head)
}

/** A decoder as Llama has it (Touvron et al. 2023) with grouped queries (Ainslie et al. 2023); logits of each position. */
export function gpt(name: string, p: Plan) {
  const n = new Net(name)
  const ids = n.input('input_ids', ['n', 'length'], 'int64')
  const table = n.weight([p.vocabulary, p.width])
  let x = n.op('Gather', [table, ids], { axis: 0 })
  const length = sizeOf(n, ids, 1)
  const upTo = (whole: string, axes: readonly number[]) =>
    axes.reduce((y, axis) => n.op('Slice', [y, n.ints([0]), length, n.ints([axis]), n.ints([1])]), whole)
  const angles = (f: (a: number) => number) =>
    Array.from({ length: p.positions * p.head }, (_, i) => {
      const [at, c] = [Math.floor(i / p.head), i % (p.head / 2)]
      return f(at / 10000 ** ((2 * c) / p.head))
    })
  const cos = upTo(n.floats([1, 1, p.positions, p.head], angles(Math.cos)), [2])
  const sin = upTo(n.floats([1, 1, p.positions, p.head], angles(Math.sin)), [2])
  const later = Array.from({ length: p.positions ** 2 }, (_, i) =>
    i % p.positions > Math.floor(i / p.positions) ? -1e4 : 0,
  )
  const mask = upTo(n.floats([1, 1, p.positions, p.positions], later), [2, 3])
  const bare = { bias: false }
  for (let i = 0; i < p.layers; i++) {
    const normal = rmsNorm(n, x, p.width)
    const project = (heads: number) => {
      const y = dense(n, normal, p.width, heads * p.head, bare)
      return transpose(n, view(n, y, sizeOf(n, y, 0), sizeOf(n, y, 1), heads, p.head), 0, 2, 1, 3)
    }
    const q = rotated(n, project(p.heads), p.head, cos, sin)
    const k = repeated(n, rotated(n, project(p.groups), p.head, cos, sin), p, length)
    const v = repeated(n, project(p.groups), p, length)
    const scores = n.op('Div', [
      n.op('MatMul', [q, transpose(n, k, 0, 1, 3, 2)]),
      n.scalar(Math.sqrt(p.head)),
    ])
    const weights = n.op('Softmax', [n.op('Add', [scores, mask])], { axis: -1 })
    const seen = transpose(n, n.op('MatMul', [weights, v]), 0, 2, 1, 3)
    const merged = view(n, seen, sizeOf(n, seen, 0), sizeOf(n, seen, 1), p.heads * p.head)
    x = n.op('Add', [x, dense(n, merged, p.heads * p.head, p.width, bare)])
    const inner = rmsNorm(n, x, p.width)
    const gate = silu(n, dense(n, inner, p.width, p.hidden, bare))
    const wide = n.op('Mul', [gate, dense(n, inner, p.width, p.hidden, bare)])
    x = n.op('Add', [x, dense(n, wide, p.hidden, p.width, bare)])
  }
  return n.build(n.op('MatMul', [rmsNorm(n, x, p.width), n.op('Transpose', [table], { perm: [1, 0] })]))
}

export const gpts: readonly Architecture[] = [
  {
    name: 'GPT',
    peculiarity:
      'grouped queries by Expand, rotary positions, RMS norm and a causal mask in primitives; one table embeds and unembeds',
    make: () =>
      gpt('GPT', {
        vocabulary: 40,
        width: 40,
        heads: 6,
        groups: 3,
        head: 8,
        hidden: 100,
        layers: 2,
        positions: 64,
      }),
  },
]
