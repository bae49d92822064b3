import { EspalierError } from '@espalier/shared'
import { sampleInput, type Unit, xorshift } from '../analysis/index.js'
import { type Graph, numbersOf } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'
import type { Prunable } from './prunable.js'
import { zeroUnits } from './remove-units.js'

export interface Check {
  /** Largest difference between any element of the two networks' outputs. */
  readonly maxAbsDiff: number
  /** Largest absolute value of an output. */
  readonly scale: number
  readonly inputs: number
  /** The zeroed network gives the same outputs for every input, so that the comparison says little. */
  readonly weak: boolean
}

/** Operators that round to steps: a sum in another order, the last digit another, may come out one step aside. */
const rounding = new Set(['QuantizeLinear', 'DynamicQuantizeLinear'])

/**
 * Compares the pruned network with the original in which the same weights are zero, on random inputs.
 * @throws PRUNING_INEXACT if they differ by more than 1e-4 of the outputs' scale + 1e-6; 2 % of it in a network that
 *   quantises what it computes, whose steps are about 1 % of it.
 */
export async function checkPruning(
  { coupling, original }: Prunable,
  removed: ReadonlySet<Unit>,
  graph: Graph,
  { inputs = 3, seed = 0 }: { inputs?: number; seed?: number } = {},
): Promise<Check> {
  const zeroed = await openSession(zeroUnits(coupling, removed))
  const real = await openSession(graph).catch(async (thrown) => {
    await zeroed.release()
    throw thrown
  })
  try {
    const random = xorshift(seed + 1)
    const share = original.nodes.some((n) => rounding.has(n.op)) ? 2e-2 : 1e-4
    const check = { maxAbsDiff: 0, scale: 0, inputs, weak: true }
    const first = new Map<string, number[]>()
    for (let k = 0; k < inputs; k++) {
      const feeds = Object.fromEntries(
        original.inputs.map((v) => [v.name, sampleInput(v, coupling.shapes.inputs[v.name], random)]),
      )
      const expected = await run(zeroed, feeds)
      const got = await run(real, feeds)
      for (const [name, t] of Object.entries(expected)) {
        const [a, b] = [numbersOf(t), numbersOf(got[name])]
        const scale = a.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0)
        const differs = a.length !== b.length ? Number.POSITIVE_INFINITY : largestGap(a, b)
        if (!(differs <= share * scale + 1e-6)) throw inexact(name, differs, scale)
        check.maxAbsDiff = Math.max(check.maxAbsDiff, differs)
        check.scale = Math.max(check.scale, scale)
        const before = first.get(name)
        if (!before) first.set(name, a)
        else if (largestGap(before, a) > 1e-6 * scale) check.weak = false
      }
    }
    return check
  } finally {
    await zeroed.release()
    await real.release()
  }
}

/**
 * Of elements that the zeroed network has as finite numbers; NaN where the other has none there. Where it has none
 * itself, as after an infinite weight, nothing can be compared.
 */
const largestGap = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((m, v, i) => (Number.isFinite(v) ? Math.max(m, Math.abs(v - b[i])) : m), 0)

const inexact = (name: string, gap: number, scale: number) =>
  new EspalierError(
    'PRUNING_INEXACT',
    `output '${name}' differs by ${gap.toExponential(2)} (scale ${scale.toPrecision(3)}) from the network with the same weights zeroed; nothing was written: please report this model`,
  )
