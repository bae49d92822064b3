import type { InferenceSession, Tensor } from 'onnxruntime-common'
import { inputsOf } from './inputs.js'
import { median } from './percentiles.js'
import type { Compared, Shapes } from './protocol.js'

/** A session that can run, and what it is fed. */
export interface Contender {
  readonly session: InferenceSession
  readonly feeds: Readonly<Record<string, Tensor>>
}

export interface CompareSettings {
  readonly rounds: number
  /** How long one contender runs in one round. */
  readonly roundMs: number
  readonly shapes?: Shapes
}

/**
 * Times several models in turn, round after round, so that whatever slows the machine down slows all of them: the median
 * of all queries of each, in ms; null for one that does not load or run. The first round warms up and does not count.
 */
export async function compare(
  paths: readonly string[],
  { rounds, roundMs, shapes }: CompareSettings,
  open: (path: string) => Promise<InferenceSession>,
  feed: (inputs: ReturnType<typeof inputsOf>) => Contender['feeds'],
): Promise<Compared> {
  const contenders: (Contender | undefined)[] = []
  for (const path of paths) {
    contenders.push(
      await open(path).then(
        (session) => ({ session, feeds: feed(inputsOf(session.inputMetadata, shapes)) }),
        () => undefined,
      ),
    )
  }
  const times = contenders.map((): number[] => [])
  for (let round = 0; round <= rounds; round++)
    for (const [i, contender] of contenders.entries()) {
      if (!contender) continue
      const end = performance.now() + roundMs
      try {
        do {
          const ms = await query(contender)
          if (round > 0) times[i].push(ms)
        } while (performance.now() < end)
      } catch {
        contenders[i] = undefined
        times[i] = []
      }
    }
  for (const contender of contenders) await contender?.session.release()
  return { p50Ms: times.map((t) => (t.length > 0 ? median(t) : null)) }
}

async function query({ session, feeds }: Contender): Promise<number> {
  const started = performance.now()
  const outputs = await session.run(feeds)
  const ms = performance.now() - started
  for (const output of Object.values(outputs)) output.dispose()
  return ms
}
