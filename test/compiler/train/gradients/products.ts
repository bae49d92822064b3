import { node } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'
import { binary } from './pointwise.js'

export const products: readonly Case[] = [
  {
    what: 'Gemm',
    nodes: [y('Gemm', ['a', 'b', 'c'])],
    inputs: { a: [3, 4], b: [4, 5], c: [5] },
    linear: true,
  },
  {
    what: 'Gemm, both transposed and scaled',
    nodes: [
      y('Gemm', ['a', 'b', 'c'], { transA: 1, transB: 1, alpha: 0.5, beta: { type: 'float', value: 2 } }),
    ],
    inputs: { a: [4, 3], b: [5, 4], c: [3, 1] },
    linear: true,
  },
  ...(
    [
      [
        [3, 4],
        [4, 5],
      ],
      [
        [2, 3, 4],
        [4, 5],
      ],
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
      [
        [2, 1, 3, 4],
        [6, 4, 5],
      ],
      [[4], [2, 4, 5]],
      [[2, 3, 4], [4]],
    ] as const
  ).map(([a, b]): Case => ({ ...binary('MatMul', a, b), linear: true })),

  ...[0, 1, 2, 3].map((which): Case => {
    const [transA, transB] = [which & 1, which >> 1]
    return {
      what: `FusedMatMul, transposed ${transA}${transB}`,
      nodes: [
        node('FusedMatMul', ['a', 'b'], ['y'], { transA, transB, alpha: 0.5 }, { domain: 'com.microsoft' }),
      ],
      inputs: { a: transA ? [2, 4, 3] : [2, 3, 4], b: transB ? [5, 4] : [4, 5] },
      linear: true,
    }
  }),
  ...(
    [
      ['ij,jk->ik', [3, 4], [4, 5]],
      ['bhqd,bhkd->bhqk', [2, 3, 4, 5], [2, 3, 6, 5]],
      ['bij,bjk', [2, 3, 4], [2, 4, 5]],
      ['ij,k->k', [3, 4], [5]],
      ['...i,ij->...j', [2, 3, 4], [4, 5]],
      ['i...,ij->...j', [4, 2, 3], [4, 5]],
      ['i,j->ij', [3], [4]],
    ] as const
  ).map(
    ([equation, a, b]): Case => ({
      what: `Einsum ${equation}`,
      nodes: [y('Einsum', ['a', 'b'], { equation })],
      inputs: { a, b },
      linear: true,
    }),
  ),
  {
    what: 'Einsum of one, transposed and summed',
    nodes: [y('Einsum', ['a'], { equation: 'ijk->ki' })],
    inputs: { a: [2, 3, 4] },
    linear: true,
  },
  {
    what: 'Einsum of three',
    nodes: [y('Einsum', ['a', 'b', 'c'], { equation: 'bi,io,bo->b' })],
    inputs: { a: [3, 4], b: [4, 5], c: [3, 5] },
    linear: true,
  },
]
