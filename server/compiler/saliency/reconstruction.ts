import type { Coupling, Group } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import { type Channels, channelsOf, inverseRidge, readingAxis } from '../recover/index.js'
import { l2 } from './l2.js'
import { normalised } from './normalised.js'

export interface ReconstructionOptions {
  /** Inputs looked at; 512 by default. */
  readonly samples?: number
  readonly seed?: number
  readonly signal?: AbortSignal
}

/**
 * What the layers that read a unit lose without it, once their other weights have made up for it as far as they can, as
 * a share of what they compute: Optimal Brain Surgeon (Hassibi and Stork 1993) on the layer-wise squared error, whose
 * Hessian is the second moment of the layer's inputs S (SparseGPT: Frantar and Alistarh 2023; for channels of several
 * columns, Optimal Brain Compression: Frantar and Alistarh 2022, section 4). The unit that costs least,
 * Σ ‖W_h‖²/[S⁻¹]_hh over its readers, goes first; weights and S⁻¹ are brought up to date, and so on. A unit's score is
 * the most that any step up to its own cost, so that scores are in the order in which units go. Inputs need no labels.
 * Groups that no ungrouped convolution or matrix product with constant weights reads, and blocks, are ranked as by l2.
 * @returns as a Criterion does: one array a group, its mean one
 * @throws DATA_INVALID, DATA_SHAPE_MISMATCH
 */
export async function reconstruction(
  coupling: Coupling,
  data: Dataset,
  options: ReconstructionOptions = {},
): Promise<Float64Array[]> {
  const readers = await channelsOf(coupling, data, options)
  const otherwise = l2(coupling)
  return otherwise.map((scores, g) => {
    const group = coupling.groups[g]
    const problems = group ? readers.flatMap((r) => problemOf(group, r) ?? []) : []
    return problems.length > 0 ? normalised(eliminate(group.units.length, problems)) : scores
  })
}

/** One reader of a group's units. */
interface Problem {
  /** For each unit the reader's channels that go with it. */
  readonly columns: readonly (readonly number[])[]
  /** ΣWᵀW of the reader, compensated so far: [n, n]. */
  readonly weights: Float64Array
  /** (S + λI)⁻¹ of what is left: [n, n]. */
  readonly inverse: Float64Array
  /** Σ tr(W·S·Wᵀ) of the whole: what errors are shares of. */
  readonly energy: number
  readonly n: number
}

function problemOf(
  { units, tensors }: Group,
  { mixer, tie, moments, weights }: Channels,
): Problem | undefined {
  if (!tensors.includes(mixer.weight ?? '')) return undefined
  const axis = readingAxis(mixer)
  const channelOf = new Map<number, number>()
  if (mixer.taps > 1) for (let u = 0; u < tie.units; u++) channelOf.set(u, u)
  else for (const [i, column] of tie.at.entries()) channelOf.set(column, i % tie.units)
  const columns = units.map((unit) => {
    const indices = unit.slices.filter((s) => s.tensor === mixer.weight && s.axis === axis)
    return [...new Set(indices.flatMap((s) => s.indices).map((i) => channelOf.get(i) ?? -1))]
  })
  if (columns.every((c) => c.length === 0)) return undefined
  const n = tie.units
  const inverse = inverseRidge(moments)
  let energy = 0
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) energy += weights[i * n + j] * moments[i * n + j]
  if (!inverse || !(energy > 0)) return undefined
  return { columns, weights: weights.slice(), inverse, energy, n }
}

/** The most that removing a unit, or one before it, costs when the cheapest always goes first. */
function eliminate(count: number, problems: readonly Problem[]): Float64Array {
  const scores = new Float64Array(count)
  const left = new Set(Array.from({ length: count }, (_, u) => u))
  let most = 0
  while (left.size > 0) {
    const costs = new Map(
      [...left].map((u) => [u, problems.reduce((sum, p) => sum + lossOf(p, p.columns[u]) / p.energy, 0)]),
    )
    const cheapest = [...left].reduce((best, u) => ((costs.get(u) ?? 0) < (costs.get(best) ?? 0) ? u : best))
    // A hair more than the last, so that sorting by score keeps the order.
    most = Math.max(most * (1 + 1e-9) + Number.MIN_VALUE, costs.get(cheapest) ?? 0)
    scores[cheapest] = most
    left.delete(cheapest)
    for (const p of problems) remove(p, p.columns[cheapest])
  }
  return scores
}

/** tr((S⁻¹_bb)⁻¹ · ΣW_bᵀW_b). */
function lossOf({ weights, inverse, n }: Problem, block: readonly number[]): number {
  if (block.length === 1) return weights[block[0] * n + block[0]] / inverse[block[0] * n + block[0]]
  if (block.length === 0) return 0
  const part = (m: Float64Array) => Float64Array.from(block.flatMap((i) => block.map((j) => m[i * n + j])))
  const own = part(weights)
  return inverseRidge(part(inverse))?.reduce((trace, v, i) => trace + v * own[i], 0) ?? 0
}

/**
 * Removes columns one after the other: W ← W − W_h·S⁻¹_h/[S⁻¹]_hh, of which WᵀW follows by two rank-one changes, and
 * S⁻¹ ← S⁻¹ − S⁻¹_h·S⁻¹_hᵀ/[S⁻¹]_hh. A column that is gone is all zeros but for a one on the diagonal of S⁻¹.
 */
function remove({ weights, inverse, n }: Problem, block: readonly number[]): void {
  const row = new Float64Array(n)
  const was = new Float64Array(n)
  for (const h of block) {
    const pivot = inverse[h * n + h]
    for (let i = 0; i < n; i++) row[i] = inverse[h * n + i] / pivot
    for (let i = 0; i < n; i++) was[i] = weights[h * n + i]
    const own = was[h]
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        weights[i * n + j] += own * row[i] * row[j] - was[i] * row[j] - row[i] * was[j]
        inverse[i * n + j] -= pivot * row[i] * row[j]
      }
    inverse[h * n + h] = 1
  }
}
