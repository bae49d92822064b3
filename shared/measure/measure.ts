import type { Golden } from '../messages/catalogue.js'
import { requireGolden } from './golden.js'
import type { Latency } from './interleave.js'
import { median } from './percentiles.js'
import { MeasuringProcess, type ProcessOptions } from './process.js'
import type { Profile } from './profiles.js'
import type { Loaded, Memory, Ready, Setup, Shapes } from './protocol.js'

export interface MeasureOptions extends ProcessOptions, Setup {
  readonly shapes?: Shapes
  /** What the model has to answer, where that is known. */
  readonly golden?: Golden
}

/** Memory over several fresh processes, in bytes. */
export interface MemoryMeasurement extends Memory {
  readonly processes: number
  readonly medianRamBytes: number
  /** Largest less smallest. */
  readonly spreadRamBytes: number
}

export type Measurement = MemoryMeasurement & Loaded & Latency & Ready

/** How many fresh processes memory is measured in (see "memory" in the product's terms). */
export const MEMORY_PROCESSES = 5

/**
 * Memory that the model in the file `path` adds to a process in which the runtime has run the base network:
 * the largest of `processes` fresh processes, one after the other.
 * @throws MODEL_UNSUPPORTED, MODEL_UNRUNNABLE, DIMENSION_UNKNOWN, OPTION_INVALID, MEASURING_FAILED; the signal's reason
 *   when aborted.
 */
export async function measureMemory(
  path: string,
  options: MeasureOptions,
  processes = MEMORY_PROCESSES,
): Promise<MemoryMeasurement> {
  const found: Memory[] = []
  for (let i = 0; i < processes; i++) found.push(await withModel(path, options, (p) => p.memory()))
  return largest(found)
}

/**
 * Everything about the model in the file `path`: memory in `processes` fresh processes, then latency by `time`, or by
 * a profile, in the last of them. `coldLoadMs` is that of the last.
 * @throws as `measureMemory` does, and OUTPUT_WRONG where it does not answer what is `golden`
 */
export async function measure(
  path: string,
  time: Profile | ((process: MeasuringProcess) => Promise<Latency>),
  options: MeasureOptions,
  processes = MEMORY_PROCESSES,
): Promise<Measurement> {
  const found: Memory[] = []
  for (let i = 1; i < processes; i++) found.push(await withModel(path, options, (p) => p.memory()))
  return withModel(path, options, async (p, loaded) => {
    found.push(await p.memory())
    if (options.golden) requireGolden(options.golden, await p.golden())
    const latency = typeof time === 'function' ? await time(p) : await p.latency(time)
    return { ...p.ready, ...loaded, ...latency, ...largest(found) }
  })
}

/** Hands a fresh process that has loaded the model in the file `path` to `use`, and ends it after that. */
export async function withModel<T>(
  path: string,
  options: MeasureOptions,
  use: (process: MeasuringProcess, loaded: Loaded) => Promise<T>,
): Promise<T> {
  const process = await MeasuringProcess.start(options)
  try {
    return await use(process, await process.load(path, options, options.shapes))
  } finally {
    process.close()
  }
}

function largest(found: readonly Memory[]): MemoryMeasurement {
  const sizes = found.map((m) => m.measuredRamBytes)
  const most = Math.max(...sizes)
  return {
    ...found[sizes.indexOf(most)],
    processes: found.length,
    medianRamBytes: median(sizes),
    spreadRamBytes: most - Math.min(...sizes),
  }
}
