import {
  MeasuringProcess,
  machineName,
  type OperatorTimes,
  timeAlone,
  timeInTurn,
} from '@espalier/shared/measure/index.js'
import type { InputShapes, Unit } from '../analysis/index.js'
import { ladder } from '../budget/index.js'
import { random } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { latencyModel, operatorsOf } from '../latency/index.js'
import { writeModel } from '../onnx/index.js'
import { measuringChild } from '../runtime/index.js'
import { type Prunable, prunable, pruned } from '../surgery/index.js'

export interface ProfileOptions {
  /** Counts of units are looked at in multiples of it; 8 by default. */
  readonly round?: number
  readonly threads?: number
  readonly shapes?: InputShapes
  readonly seed?: number
  readonly on?: (stage: string, done?: number, total?: number) => void
  readonly signal?: AbortSignal
}

export interface ProfileResult {
  readonly times: OperatorTimes
  /** Whole networks that the scale was not fitted to: the dense one's thinned forms, predicted and measured. */
  readonly checks: readonly {
    readonly share: number
    readonly predictedMs: number
    readonly measuredMs: number
  }[]
}

const NETWORK = { rounds: 9, roundMs: 40 }
/** Shares of the units that are kept in the forms that fit the scale, and in those that check it. */
const FITTED = [1, 0.5]
const CHECKED = [0.75, 0.6, 0.35]

/**
 * Measures, in one child process and in turn, every operator of a network at the sizes that pruning can give it, and
 * the network itself in a few forms.
 * @throws MODEL_UNSUPPORTED where the network does not run, and what `prunable` throws
 */
export async function profile(
  original: Graph,
  { round = 8, threads = 1, shapes, seed = 0, on = () => {}, signal }: ProfileOptions = {},
): Promise<ProfileResult> {
  on('finding operators')
  const subject = await prunable(original, shapes)
  const { coupling } = subject
  const operators = operatorsOf(coupling, round)
  const child = await MeasuringProcess.start({ child: measuringChild, timeoutMs: 600_000, signal })
  try {
    const stage = `measuring ${operators.length} operators`
    const { queryMs: base, ms: alone } = await timeAlone(
      child,
      operators.length,
      (i) => writeModel(operators[i].graph),
      { threads, shapes, on: (done) => on(stage, done, operators.length) },
    )
    const { runtime, runtimeVersion } = child.ready
    const measured: OperatorTimes = {
      espalierProfile: 1,
      machine: machineName(),
      runtime,
      runtimeVersion,
      threads,
      queryMs: base,
      scale: 1,
      operators: operators.flatMap(({ op, kind, dims }, i) => {
        const ms = alone[i]
        return ms === null ? [] : [{ op, kind, dims, ms }]
      }),
    }
    on('measuring the network')
    const forms = [...FITTED, ...CHECKED].map((share) => thinnedTo(subject, share, round, seed))
    const whole = await timeInTurn(
      child,
      forms.map((removed) => writeModel(pruned(subject, removed))),
      { threads, shapes, ...NETWORK },
    )
    const sums = forms.map((removed) => predicted(subject, removed, measured) - base)
    const scale = fitted(sums.slice(0, FITTED.length), whole.slice(0, FITTED.length), base)
    return {
      times: { ...measured, scale },
      checks: CHECKED.flatMap((share, k) => {
        const measuredMs = whole[FITTED.length + k]
        const predictedMs = base + scale * sums[FITTED.length + k]
        return measuredMs === null ? [] : [{ share, predictedMs, measuredMs }]
      }),
    }
  } finally {
    child.close()
  }
}

/** About this share of each group's units stays, by chance a rung more or less. */
function thinnedTo({ coupling }: Prunable, share: number, round: number, seed: number): readonly Unit[] {
  const next = random(seed + 1000 * share)
  return coupling.groups.flatMap((group) => {
    if (share === 1) return []
    const wanted = Math.max(1, group.units.length * (share + 0.3 * (next() - 0.5)))
    const kept = ladder(group, round).reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a))
    return group.units.slice(kept)
  })
}

function predicted({ coupling }: Prunable, removed: readonly Unit[], times: OperatorTimes): number {
  const model = latencyModel(times, coupling)
  const dims = coupling.dims(removed)
  const of = (name: string | undefined) => (name ? dims.get(name) : undefined) ?? []
  return coupling.graph.nodes.reduce((ms, n) => ms + model.nodeMs(n, of), model.queryMs)
}

/** The factor that brings sums to what was measured beyond a query, relative errors squared. */
function fitted(sums: readonly number[], whole: readonly (number | null)[], base: number): number {
  const ratios = sums.flatMap((sum, i) => {
    const ms = whole[i]
    return ms === null || sum <= 0 ? [] : [Math.max(0.05, (ms - base) / sum)]
  })
  if (ratios.length === 0) return 1
  return Math.exp(ratios.reduce((s, r) => s + Math.log(r), 0) / ratios.length)
}
