import { type Coupling, type Group, realOf } from '../analysis/index.js'
import { numbersOf, stridesOf, type Tensor } from '../graph/index.js'
import { magnitudes } from './blocks.js'
import { normalised } from './normalised.js'

export interface SaliencyOptions {
  /** For criteria that draw numbers; 0 by default. */
  readonly seed?: number
}

/**
 * Scores every unit: one array a group, in the order of its units, and a last one for the blocks; higher is worth
 * more. Each array has a mean of one, so that units of different groups compare.
 */
export type Criterion = (coupling: Coupling, options?: SaliencyOptions) => Float64Array[]

/**
 * A criterion that adds up a measure over all weights that a unit touches, each constant with an equal say; quantised
 * ones count as the real numbers that they stand for. Blocks are ranked by `magnitudes`.
 */
export const bySlices =
  (measure: SliceMeasure): Criterion =>
  (coupling) => [
    ...coupling.groups.map((group) => normalised(sliceScores(coupling, group, measure))),
    magnitudes(coupling),
  ]

export interface SliceMeasure {
  /** Which constants count. */
  counts(name: string, t: Tensor): boolean
  /** What one element adds. */
  element(value: number): number
  /** Applied to the sum over a slice. */
  total(sum: number): number
}

function sliceScores(coupling: Coupling, group: Group, measure: SliceMeasure): Float64Array {
  const scores = new Float64Array(group.units.length)
  const tables = new Map<string, Float64Array[]>()
  for (const name of group.tensors) {
    const t = realOf(coupling, name)
    if (t && measure.counts(name, t)) tables.set(name, sumsByIndex(t, measure))
  }
  for (const [name, sums] of tables) {
    const own = Float64Array.from(group.units, (u) =>
      measure.total(
        u.slices
          .filter((s) => s.tensor === name)
          .reduce((sum, s) => s.indices.reduce((x, i) => x + sums[s.axis][i], sum), 0),
      ),
    )
    normalised(own).forEach((v, i) => {
      scores[i] += v
    })
  }
  return scores
}

/** For each dimension, the measure summed over everything at each of its indices. */
function sumsByIndex(t: Tensor, { element }: SliceMeasure): Float64Array[] {
  const strides = stridesOf(t.dims)
  const sums = t.dims.map((size) => new Float64Array(size))
  numbersOf(t).forEach((value, i) => {
    const v = element(value)
    for (let d = 0; d < t.dims.length; d++) sums[d][Math.floor(i / strides[d]) % t.dims[d]] += v
  })
  return sums
}
