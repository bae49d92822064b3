import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { formatBytes } from '@espalier/shared'
import { type Trial, trials } from '../support/hostile/trials.js'

export const about =
  'hostile ONNX files through read, capture, couple and prune: counts by error code; goes on where --results left off; --runs (20000) --minutes (7), --again CODE (tries those once more)'

const bounds = { memoryBytes: 2 ** 30, timeMs: 30_000 }
/** Fates that are a fault of ours; their seeds are kept. */
const faults = new Set(['INTERNAL', 'CRASHED', 'TIME_LIMIT', 'PRUNING_INEXACT'])

interface Result {
  limits: { memory: string; seconds: number }
  done: number
  seconds: number
  /** Of a process that answered, at its largest; one that was stopped says what it used in its message. */
  largestResidentBytes: number
  slowestMs: number
  codes: Record<string, number>
  kinds: Record<string, Record<string, number>>
  /** Every stop at the memory limit, and every fault. */
  seeds: Record<string, { seed: number; kind: string; base: string; message: string }[]>
}

/**
 * Seeds from 1 up, one piece at a time; --results FILE (test/bench/results/mutations.json) is read and written again.
 * What was a fault before is tried once more.
 */
export default async function mutations(options: Readonly<Record<string, string>>) {
  const file = options.results ?? 'test/bench/results/mutations.json'
  const runs = Number(options.runs ?? 20_000)
  const until = performance.now() + 60_000 * Number(options.minutes ?? 7)
  const result: Result = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : nothingYet()
  const start = performance.now()
  const again = forgotten(result, options.again === undefined ? faults : [...faults, options.again])
  const seeds = function* () {
    yield* again
    for (let seed = result.done + 1; seed <= runs && performance.now() < until; seed++) yield seed
  }
  const worker = new URL('../support/hostile/worker.js', import.meta.url)
  for await (const trial of trials(seeds(), worker, bounds)) note(result, trial)
  result.seconds += Math.round((performance.now() - start) / 1000)
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
  return { done: result.done, codes: result.codes, faults: result.seeds }
}

const nothingYet = (): Result => ({
  limits: { memory: formatBytes(bounds.memoryBytes), seconds: bounds.timeMs / 1000 },
  done: 0,
  seconds: 0,
  largestResidentBytes: 0,
  slowestMs: 0,
  codes: {},
  kinds: {},
  seeds: {},
})

/** Takes what ended in these codes out of the counts. @returns their seeds */
function forgotten({ codes, kinds, seeds }: Result, ended: Iterable<string>): number[] {
  return [...ended].flatMap((code) => {
    const known = seeds[code] ?? []
    for (const { kind } of known) {
      codes[code]--
      kinds[kind][code]--
      if (kinds[kind][code] === 0) delete kinds[kind][code]
    }
    if (known.length > 0) delete codes[code]
    delete seeds[code]
    return known.map((k) => k.seed)
  })
}

function note(result: Result, { seed, kind, base, code, message, ms, residentBytes }: Trial): void {
  result.done = Math.max(result.done, seed)
  result.largestResidentBytes = Math.max(result.largestResidentBytes, residentBytes)
  result.slowestMs = Math.max(result.slowestMs, Math.round(ms))
  result.codes[code] = (result.codes[code] ?? 0) + 1
  const of = result.kinds[kind] ?? {}
  result.kinds[kind] = of
  of[code] = (of[code] ?? 0) + 1
  const text = message.replace(/\s+/g, ' ').slice(0, 400)
  if (faults.has(code) || code === 'MEMORY_LIMIT')
    result.seeds[code] = [...(result.seeds[code] ?? []), { seed, kind, base, message: text }]
}
