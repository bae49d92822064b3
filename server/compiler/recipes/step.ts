import { MeasuringProcess, timeInTurn } from '@espalier/shared/measure/index.js'
import type { InputShapes } from '../analysis/index.js'
import type { Allocation } from '../budget/index.js'
import { writeModel } from '../onnx/index.js'
import { measuringChild } from '../runtime/index.js'
import { type Prunable, pruned } from '../surgery/index.js'
import { DEFAULTS } from './run.js'

/** Channels in one register of 128, 256 and 512 bits: runtimes compute in blocks of them. */
export const STEPS = [4, 8, 16] as const
/** A step that keeps so much less of the saliency is not worth its speed, nor one that uses so much less of the limit. */
const WORTH = { saliency: 0.02, used: 0.1 } as const
/** Steps that are so much slower at most are as fast: then what keeps more counts. */
const ALIKE = 1.02
const SETTINGS = { rounds: 21, roundMs: 15 }

export interface Step {
  readonly round: number
  readonly choice: Allocation
  readonly ms: number
}

/**
 * What channel counts should be multiples of: of the choices that meet the same limits in multiples of each step, the
 * fastest, timed in turn on this machine. Of those that hardly differ the one that keeps the most saliency.
 * @param choose what the limits leave in multiples of a step
 */
export async function measuredStep(
  subject: Prunable,
  choose: (round: number) => Allocation,
  shapes?: InputShapes,
  signal?: AbortSignal,
): Promise<Step> {
  const choices = STEPS.map((round) => ({ round, choice: choose(round) }))
  const [first] = choices
  if (choices.every(({ choice }) => choice.removed.size === 0))
    return { ...first, round: DEFAULTS.round, ms: 0 }
  const times = await timesOf(
    choices.map(({ choice }) => choice),
    subject,
    shapes,
    signal,
  )
  return quickest(choices.map((c, i) => ({ ...c, ms: times[i] ?? Number.POSITIVE_INFINITY })))
}

/**
 * The same by a table of operator times instead of measuring. Under a limit on latency all are as fast, and what keeps
 * the most counts.
 */
export function expectedStep(choose: (round: number) => Allocation, isLimited: boolean): Step {
  const choices = STEPS.map((round) => ({ round, choice: choose(round) }))
  return quickest(choices.map((c) => ({ ...c, ms: isLimited ? 1 : c.choice.costs.latency })))
}

/** The fastest of the steps, as `measuredStep` says. */
export function quickest(steps: readonly Step[]): Step {
  const most = (what: 'saliency' | 'used') => Math.max(...steps.map((s) => s.choice[what]))
  const [saliency, used] = [most('saliency') - WORTH.saliency, most('used') - WORTH.used]
  const close = steps.filter((s) => s.choice.saliency >= saliency && s.choice.used >= used)
  const worth = close.length > 0 ? close : steps
  const least = Math.min(...worth.map((s) => s.ms))
  return worth
    .filter((s) => s.ms <= ALIKE * least)
    .reduce((a, b) => (b.choice.saliency > a.choice.saliency ? b : a))
}

async function timesOf(
  choices: readonly Allocation[],
  subject: Prunable,
  shapes: InputShapes | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly (number | null)[]> {
  const child = await MeasuringProcess.start({ child: measuringChild, signal })
  try {
    const models = choices.map(({ removed }) => writeModel(pruned(subject, removed)))
    return await timeInTurn(child, models, { shapes, ...SETTINGS })
  } finally {
    child.close()
  }
}
