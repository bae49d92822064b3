import {
  type Command,
  type Measurement,
  type MeasuringProcess,
  measure,
  type Profile,
  type Setup,
  type Shapes,
} from '@espalier/shared/measure/index.js'
import type { Beside, Golden } from '@espalier/shared/messages/index.js'
import type { Clock } from '../clock.js'
import { governors, type Heat, heat } from '../facts/index.js'
import { takeLock } from '../store/lock.js'
import { afterwards, besideIncumbent, type Incumbent } from './incumbent.js'
import { bestSetup } from './setups.js'

/** How this device measures: the same for every variant. */
export interface BenchmarkSettings {
  /** What measures: see `runtimeOf`. */
  readonly child: URL | Command
  readonly profile: Profile
  /** How models may be run here, the most frugal first; what is best for each is tried. */
  readonly setups: readonly Setup[]
  /** Fresh processes for memory. */
  readonly processes?: number
  /** A file that all agents of a host share: while one measures, the others wait. */
  readonly hostLock: string
  /** The root of /proc and /sys. */
  readonly root: string
  readonly clock: Clock
  readonly log: (line: string) => void
}

/** A measurement, and the conditions under which it was made. */
export interface Benchmark extends Measurement {
  /** How it was run. */
  readonly setup: Setup
  readonly throttled: boolean
  /** The hottest moment, °C. */
  readonly temperatureC: number | null
  /** Of the fastest core, MHz, and of the whole board, W: the means over the run. */
  readonly frequencyMhz: number | null
  readonly powerW: number | null
  readonly governor: string | null
  /** What runs now, as it did in the same run; absent where nothing ran, or it could not be measured. */
  readonly incumbent?: Beside
}

/** What is known of the model that is measured. */
interface Known {
  readonly shapes?: Shapes
  readonly golden?: Golden
  /** How it is run, where that has been tried already. */
  readonly setup?: Setup
  /** What it may take, bytes. */
  readonly memoryBytes?: number
  /** What it would take the place of: their latencies are compared. */
  readonly incumbent?: Incumbent
}

/**
 * Measures the model in the file `path` in child processes, once no other agent of this host measures.
 * @throws what `measure` throws, or the signal's reason
 */
export async function benchmark(
  path: string,
  { incumbent, setup: kept, ...known }: Known,
  settings: BenchmarkSettings,
  signal: AbortSignal,
): Promise<Benchmark> {
  const { child, profile, setups, processes, hostLock, root, clock, log } = settings
  const lock = await hostLockTaken(hostLock, clock, signal)
  const watch = new HeatWatch(root)
  try {
    const timeoutMs = profile.seconds * 1000 * 2 + 60_000
    const options = { child, signal, timeoutMs, profile, root, log }
    const setup = kept ?? (await bestSetup(path, setups, { ...options, ...known }))
    let beside: Beside | null = null
    const time = async (candidate: MeasuringProcess) => {
      const both = incumbent ? await besideIncumbent(candidate, incumbent, options) : null
      beside = both?.beside ?? null
      return both?.latency ?? (await candidate.latency(profile))
    }
    const measured = await measure(path, time, { ...known, ...setup, child, signal, timeoutMs }, processes)
    if (incumbent) beside ??= await afterwards(incumbent, options)
    return {
      ...measured,
      setup,
      ...judge(watch.stop(), measured.drift),
      governor: governors(root).governor ?? null,
      ...(beside && { incumbent: beside }),
    }
  } finally {
    watch.stop()
    lock.release()
  }
}

async function hostLockTaken(path: string, clock: Clock, signal: AbortSignal) {
  for (;;) {
    const lock = takeLock(path)
    if ('release' in lock) return lock
    await clock.sleep(250, signal)
  }
}

/** Looks at temperature and throttling once a second while a benchmark runs. */
class HeatWatch {
  readonly #seen: Heat[]
  readonly #timer: NodeJS.Timeout

  constructor(root: string) {
    this.#seen = [heat(root)]
    this.#timer = setInterval(() => this.#seen.push(heat(root)), 1000)
  }

  stop(): readonly Heat[] {
    clearInterval(this.#timer)
    return this.#seen
  }
}

/** From this ratio of the last quarter's median to the first's on, a run counts as slowed down. */
const slowedDown = 1.1

/** A run was throttled if the machine said so at any moment, a counter of such events rose, or it slowed down. */
export function judge(
  seen: readonly Heat[],
  drift = 1,
): Pick<Benchmark, 'throttled' | 'temperatureC' | 'frequencyMhz' | 'powerW'> {
  const told = (of: (heat: Heat) => number | null) => seen.map(of).filter((n): n is number => n !== null)
  const temperatures = told((h) => h.temperatureC)
  const events = told((h) => h.throttleEvents)
  const isTold = seen.some((h) => h.throttling === true) || (events.at(-1) ?? 0) > (events[0] ?? 0)
  return {
    throttled: isTold || drift >= slowedDown,
    temperatureC: temperatures.length > 0 ? Math.max(...temperatures) : null,
    frequencyMhz: mean(told((h) => h.frequencyMhz)),
    powerW: mean(told((h) => h.powerW)),
  }
}

const mean = (values: readonly number[]): number | null =>
  values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null
