import { type Block, type Coupling, layerAxes, realOf } from '../analysis/index.js'
import { numbersOf, stridesOf, type Tensor } from '../graph/index.js'

import { normalised } from './normalised.js'

/** What each output of a block's last layer is made by: names of constants, and the axis along which outputs lie. */
export type Ends = readonly (readonly { readonly tensor: string; readonly axis: number }[])[]

/**
 * The constants at the end of each block, those of as many outputs together: a weight and its bias, a scale and its
 * shift. Branches that end in several layers side by side have several.
 */
export function endsOf({ graph, blocks }: Coupling): Ends[] {
  const layers = layerAxes(graph)
  return blocks.map(({ slices }: Block) => {
    const byOutputs = new Map<number, { tensor: string; axis: number }[]>()
    for (const { tensor } of slices) {
      const dims = graph.constant(tensor)?.dims ?? []
      const axis = layers.get(tensor)?.writes ?? dims.indexOf(Math.max(...dims))
      byOutputs.set(dims[axis], [...(byOutputs.get(dims[axis]) ?? []), { tensor, axis }])
    }
    return [...byOutputs.values()]
  })
}

/**
 * Worth of blocks by magnitude: the Euclidean norm of the weights that make an output of the branch's last layer, on
 * average over its outputs. That is what the layer gives for inputs of unit variance, and so comparable between layers
 * of different widths, as sums of magnitudes (Kim et al. 2024, "Shortened LLaMA: A Simple Depth Pruning for Large
 * Language Models") are not.
 */
export function magnitudes(coupling: Coupling): Float64Array {
  return normalised(
    Float64Array.from(endsOf(coupling), (ends) => {
      const outputs = ends.flatMap((parts) =>
        added(
          parts.map(({ tensor, axis }) => {
            const t = realOf(coupling, tensor)
            return t ? sumsAlong(t, axis, (v) => v * v) : new Float64Array()
          }),
        ).map(Math.sqrt),
      )
      return outputs.reduce((sum, v) => sum + v, 0) / Math.max(1, outputs.length)
    }),
  )
}

/** For each index along an axis, what `element` gives, summed over everything there. */
export function sumsAlong(
  t: Tensor,
  axis: number,
  element: (value: number, i: number) => number,
): Float64Array {
  const sums = new Float64Array(t.dims[axis])
  const inner = stridesOf(t.dims)[axis]
  numbersOf(t).forEach((value, i) => {
    sums[Math.floor(i / inner) % sums.length] += element(value, i)
  })
  return sums
}

/** Sums of arrays of one length, element by element. */
export const added = (arrays: readonly Float64Array[]): number[] =>
  Array.from(arrays[0] ?? [], (_, i) => arrays.reduce((sum, a) => sum + a[i], 0))
