import { asEspalierError } from '@espalier/shared'
import { type Latency, type MeasuringProcess, withModel } from '@espalier/shared/measure/index.js'
import type { Beside } from '@espalier/shared/messages/index.js'
import { type InTurnOptions, inTurn, type Rival } from './in-turn.js'

/** The variant that runs now. */
export interface Incumbent extends Rival {
  readonly digest: string
}

interface Options extends InTurnOptions {
  readonly log: (line: string) => void
}

/** Times a candidate that has been loaded in turn with the incumbent; null where that cannot be. */
export const besideIncumbent = (
  candidate: MeasuringProcess,
  incumbent: Incumbent,
  options: Options,
): Promise<{ readonly latency: Latency; readonly beside: Beside } | null> =>
  orTold(incumbent, options, async () => {
    const both = await inTurn(candidate, incumbent, options)
    return both && { latency: both.own, beside: besideOf(incumbent, both.its, true) }
  })

/** Times the incumbent by itself. Null where it cannot be measured. */
export const afterwards = (incumbent: Incumbent, options: Options): Promise<Beside | null> =>
  orTold(incumbent, options, () => {
    const { path, setup, shapes } = incumbent
    return withModel(path, { ...options, ...setup, shapes }, async (process) =>
      besideOf(incumbent, await process.latency(options.profile), false),
    )
  })

const besideOf = ({ digest }: Incumbent, { p50Ms, p95Ms }: Latency, interleaved: boolean): Beside => ({
  variant: digest,
  p50Ms,
  p95Ms,
  interleaved,
})

/** That the incumbent cannot be measured says nothing against the candidate: it is told, and that is all. */
async function orTold<T>(
  incumbent: Incumbent,
  options: Options,
  measure: () => Promise<T>,
): Promise<T | null> {
  try {
    return await measure()
  } catch (e) {
    options.signal?.throwIfAborted()
    const { code, message } = asEspalierError(e)
    options.log(`${incumbent.digest.slice(0, 12)} could not be measured for comparison: ${code}: ${message}`)
    return null
  }
}
