import { dense, sizeOf, transpose, view } from './layers.js'
import type { Net } from './net.js'

export interface Heads {
  /** Width of the stream that queries come from, and into which the result goes. */
  readonly width: number
  readonly heads: number
  readonly head: number
  /** Added to the scores. */
  readonly mask?: string
}

/** softmax(q·kᵀ/√d + mask)·v over [batch, heads, positions, d]; `k` is already transposed. */
export function attend(
  n: Net,
  q: string,
  k: string,
  v: string,
  { head, mask }: Pick<Heads, 'head' | 'mask'>,
) {
  const scores = n.op('Div', [n.op('MatMul', [q, k]), n.scalar(Math.sqrt(head))])
  const masked = mask ? n.op('Add', [scores, mask]) : scores
  return n.op('MatMul', [n.op('Softmax', [masked], { axis: -1 }), v])
}

/**
 * Multi-head attention with separate projections as Hugging Face's networks export: views take batch and length
 * from the tensor's own shape. Keys and values come from `memory`, by default x itself.
 */
export function multiHead(n: Net, x: string, { width, heads, head, mask }: Heads, memory = x): string {
  const inner = heads * head
  const project = (from: string, perm: readonly number[]) => {
    const y = dense(n, from, width, inner)
    return transpose(n, view(n, y, sizeOf(n, y, 0), sizeOf(n, y, 1), heads, head), ...perm)
  }
  const q = project(x, [0, 2, 1, 3])
  const k = project(memory, [0, 2, 3, 1])
  const v = project(memory, [0, 2, 1, 3])
  const seen = transpose(n, attend(n, q, k, v, { head, mask }), 0, 2, 1, 3)
  return dense(n, view(n, seen, sizeOf(n, seen, 0), sizeOf(n, seen, 1), inner), inner, width)
}

/** One projection for queries, keys and values, cut apart by Reshape, Transpose and Gather, as timm and Swin have it. */
export function fusedHeads(
  n: Net,
  x: string,
  { width, heads, head, mask }: Heads,
  positions: number,
): string {
  const inner = heads * head
  const all = dense(n, x, width, 3 * inner)
  const apart = transpose(n, view(n, all, sizeOf(n, all, 0), positions, 3, heads, head), 2, 0, 3, 1, 4)
  const [q, k, v] = [0, 1, 2].map((i) => n.op('Gather', [apart, n.int(i)], { axis: 0 }))
  const seen = attend(n, q, transpose(n, k, 0, 1, 3, 2), v, { head, mask })
  const merged = view(n, transpose(n, seen, 0, 2, 1, 3), sizeOf(n, x, 0), positions, inner)
  return dense(n, merged, inner, width)
}
