import { sampleInput, type Unit, xorshift } from '@espalier/server/compiler/analysis/index.js'
import { elementCount, numbersOf, type Tensor, type Value } from '@espalier/server/compiler/graph/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { type Prunable, pruned, verifyShapes, zeroUnits } from '@espalier/server/compiler/surgery/index.js'
import { rowsGap } from './rows.js'

export interface Agreement {
  /** Largest difference over what is allowed: 1e-4 of the output's scale + 1e-6. */
  readonly gap: number
  /** Whether the zeroed network's outputs depend on its inputs: if not, the gap says little. */
  readonly varies: boolean
}

export interface AgreementOptions {
  readonly inputs?: number
  readonly seed?: number
  /** Outputs that list what was found, one row a thing, compared in whatever order they come. */
  readonly found?: readonly string[]
}

const allowed = (scale: number) => 1e-4 * scale + 1e-6

/**
 * Removes units, sees that every shape is as predicted, and compares with the original in which the same weights are
 * zero. Floats are drawn from [−1, 1), whole numbers and booleans from {0, 1}.
 */
export async function agreementOf(
  subject: Prunable,
  removed: ReadonlySet<Unit>,
  { inputs = 2, seed = 1, found = [] }: AgreementOptions = {},
): Promise<Agreement> {
  const { coupling, original } = subject
  const after = pruned(subject, removed)
  await verifyShapes(subject, removed, after)
  const zeroed = await openSession(zeroUnits(coupling, removed))
  const real = await openSession(after)
  const random = xorshift(seed)
  const first = new Map<string, number[]>()
  let gap = 0
  let varies = false
  for (let k = 0; k < inputs; k++) {
    const feeds = Object.fromEntries(
      original.inputs.map((v) => [v.name, drawn(v, coupling.shapes.inputs[v.name], random)]),
    )
    const [x, y] = [await run(zeroed, feeds), await run(real, feeds)]
    const lists = found.map((name) => [x[name], y[name]] as const)
    if (lists.length > 0) gap = Math.max(gap, rowsGap(lists, allowed))
    for (const [name, t] of Object.entries(x)) {
      const [p, q] = [numbersOf(t), numbersOf(y[name])]
      const scale = p.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
      const worst = p.length === q.length ? largest(p, q) : Number.POSITIVE_INFINITY
      if (!found.includes(name)) gap = Math.max(gap, worst / allowed(scale))
      const before = first.get(name)
      if (!before) first.set(name, p)
      else if (largest(before, p) > 1e-5 * scale) varies = true
    }
  }
  await zeroed.release()
  await real.release()
  return { gap, varies }
}

function drawn(v: Value, dims: readonly number[], random: () => number): Tensor {
  const t = sampleInput(v, dims, () => random() * 2 - 1)
  if (t.data instanceof Float32Array) return t
  for (let i = 0; i < elementCount(dims); i++) {
    const bit = random() < 0.5 ? 0 : 1
    t.data[i] = typeof t.data[i] === 'bigint' ? BigInt(bit) : bit
  }
  return t
}

const largest = (p: readonly number[], q: readonly number[]): number =>
  p.reduce((m, v, i) => {
    const d = Object.is(v, q[i]) ? 0 : Math.abs(v - q[i])
    return d <= m ? m : Number.isNaN(d) ? Number.POSITIVE_INFINITY : d
  }, 0)
