import { asEspalierError } from '@espalier/shared'
import {
  interleave,
  type Latency,
  type MeasuringProcess,
  type ProcessOptions,
  type Profile,
  type Shapes,
  withModel,
} from '@espalier/shared/measure/index.js'
import type { Beside } from '@espalier/shared/messages/index.js'
import { availableBytes } from '../facts/index.js'

/** The variant that runs now. */
export interface Incumbent {
  readonly digest: string
  readonly path: string
  readonly shapes?: Shapes
  /** What it added to a process when it was measured; null where that is not known. */
  readonly memoryBytes: number | null
}

interface Options extends ProcessOptions {
  readonly profile: Profile
  readonly root: string
  readonly log: (line: string) => void
}

/** The share of the memory that is free which the incumbent's process may take. */
const ROOM = 0.9

/**
 * Times a candidate that has been loaded, and the incumbent in turn with it, so that both see the same temperature and
 * load; null where there is no memory for a second process, or the incumbent cannot be measured.
 */
export async function inTurn(
  candidate: MeasuringProcess,
  incumbent: Incumbent,
  options: Options,
): Promise<{ readonly latency: Latency; readonly beside: Beside } | null> {
  const takes = candidate.ready.runtimeBaseBytes + (incumbent.memoryBytes ?? Number.POSITIVE_INFINITY)
  if (takes > ROOM * availableBytes(options.root)) return null
  return withIncumbent(incumbent, options, async (process) => {
    const [latency, its] = await interleave([candidate, process], options.profile)
    return { latency, beside: besideOf(incumbent, its, true) }
  })
}

/** Times the incumbent by itself. Null where it cannot be measured. */
export const afterwards = (incumbent: Incumbent, options: Options): Promise<Beside | null> =>
  withIncumbent(incumbent, options, async (process) =>
    besideOf(incumbent, await process.latency(options.profile), false),
  )

const besideOf = ({ digest }: Incumbent, { p50Ms, p95Ms }: Latency, interleaved: boolean): Beside => ({
  variant: digest,
  p50Ms,
  p95Ms,
  interleaved,
})

/** That the incumbent cannot be measured says nothing against the candidate: it is told, and that is all. */
async function withIncumbent<T>(
  incumbent: Incumbent,
  options: Options,
  use: (process: MeasuringProcess) => Promise<T>,
): Promise<T | null> {
  try {
    return await withModel(incumbent.path, { ...options, shapes: incumbent.shapes }, use)
  } catch (e) {
    options.signal?.throwIfAborted()
    const { code, message } = asEspalierError(e)
    options.log(`${incumbent.digest.slice(0, 12)} could not be measured for comparison: ${code}: ${message}`)
    return null
  }
}
