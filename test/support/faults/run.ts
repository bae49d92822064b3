import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fleet } from './fleet.js'

/** What a run of faults ended in; what `counts` names should be 0. */
export interface Outcome {
  readonly seed: number
  readonly faults: readonly string[]
  readonly reports: number
  /** Devices that did not come to what is desired of them within `CALM_MS` of the last fault. */
  readonly notConverged: number
  /** Devices whose `current/` does not answer the golden input in a fresh process. */
  readonly brokenModels: number
  /** Reports that a device made and that are neither stored, nor waiting there, nor counted as dropped. */
  readonly lostReports: number
  readonly storedTwice: number
  /** Devices that once went back to an older revision, or ran what nobody offered. */
  readonly obeyedWrongly: number
  /** Times that an agent ended by itself, though not for want of room. */
  readonly crashes: number
  readonly lastWords: readonly string[]
  readonly seconds: number
}

/** What is counted of a run and has to be 0. */
export const counts = [
  'notConverged',
  'brokenModels',
  'lostReports',
  'storedTwice',
  'obeyedWrongly',
  'crashes',
] as const satisfies readonly (keyof Outcome)[]

export const isWrong = (outcome: Outcome): boolean => counts.some((count) => outcome[count] > 0)

/**
 * One life of a small fleet under faults that follow from `seed`: the service with its broker and two agents, each a process
 * behind a bad wire of its own, while models are swapped under them. Afterwards everything is left in peace, and looked at.
 */
export async function faultRun(seed: number, count = 8): Promise<Outcome> {
  const started = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'espalier-faults-'))
  const fleet = await Fleet.start(folder, seed)
  const faults: string[] = []
  try {
    for (let i = 0; i < count; i++) faults.push(await fleet.fault())
    return {
      seed,
      faults,
      ...(await fleet.judge()),
      seconds: Math.round((performance.now() - started) / 100) / 10,
    }
  } finally {
    await fleet.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Does `run` for each of these seeds, some at once since lives mostly wait. */
export async function eachSeed(
  seeds: readonly number[],
  atOnce: number,
  run: (seed: number) => Promise<void>,
): Promise<void> {
  const left = [...seeds]
  const worker = async () => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) await run(seed)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
