import { EspalierError } from '@espalier/shared'
import { MOST_OUTPUTS, MOST_VALUES } from '@espalier/shared/measure/golden.js'
import type { Golden } from '@espalier/shared/messages/index.js'

/**
 * What `trtexec` of NVIDIA's TensorRT prints and writes, as its documentation and its source have it.
 * @see https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html
 * @see https://github.com/NVIDIA/TensorRT/blob/main/samples/common/sampleReporting.cpp
 */

/** What it prints about an engine and its run; null for what it does not say. */
export interface Told {
  /** Such as 8.5.2. */
  readonly version: string | null
  /** Bytes of the GPU that TensorRT holds once the engine can run. */
  readonly gpuBytes: number | null
  readonly engineLoadMs: number | null
  readonly inputs: readonly { readonly name: string; readonly dims: readonly number[] }[]
  /** The first thing that it calls an error. */
  readonly error: string | null
}

const text = (log: string, pattern: RegExp): string | null => pattern.exec(log)?.[1] ?? null
const number = (log: string, pattern: RegExp): number | null => {
  const found = text(log, pattern)
  return found === null ? null : Number(found)
}

/** Reads what a run printed; both wordings of "input binding" are in use. */
export function toldBy(log: string): Told {
  const gpuMiB = number(
    log,
    /TensorRT-managed allocation in IExecutionContext creation:.* now: CPU \d+, GPU (\d+) \(MiB\)/,
  )
  const seconds = number(log, /Engine (?:loaded|deserialized) in ([\d.e-]+) sec/)
  const bindings = [
    ...log.matchAll(/Created input binding for (.+) with dimensions ([\dx]+)/g),
    ...log.matchAll(/Input binding for (.+) with dimensions ([\dx]+) is created/g),
  ]
  return {
    version: text(log, /TensorRT version: (\S+)/),
    gpuBytes: gpuMiB === null ? null : gpuMiB * 2 ** 20,
    engineLoadMs: seconds === null ? null : seconds * 1000,
    inputs: bindings.map(([, name, dims]) => ({ name, dims: dimsOf(dims) })),
    error: text(log, /\[E\] (.+)/),
  }
}

const dimsOf = (written: string) => written.split('x').map(Number)

/** The time of each query, ms, from the file of `--exportTimes`. @throws MEASURING_FAILED */
export function latenciesOf(exported: string): number[] {
  const times = rows(exported, '--exportTimes').map(({ latencyMs }) => Number(latencyMs))
  if (times.length > 0 && times.every((ms) => ms >= 0)) return times
  throw new EspalierError('MEASURING_FAILED', 'trtexec has written no latencies (--exportTimes)')
}

/** What the network answered, from the file of `--exportOutput`. @throws MEASURING_FAILED */
export function answersOf(exported: string): Golden {
  return rows(exported, '--exportOutput')
    .slice(0, MOST_OUTPUTS)
    .map(({ name, dimensions, values }) => {
      const all = Array.isArray(values) ? values.map((v) => (v === null ? Number.NaN : Number(v))) : []
      const count = Math.min(MOST_VALUES, all.length)
      return {
        name: String(name),
        dims: dimsOf(String(dimensions)),
        values: Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]),
        scale: all.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
      }
    })
    .filter(({ values, scale }) => values.length > 0 && Number.isFinite(scale))
}

/** Numbers that are none are written as C++ prints them, which is no JSON. */
function rows(exported: string, option: string): readonly Record<string, unknown>[] {
  try {
    const parsed: unknown = JSON.parse(exported.replace(/(?<=[[,\s])[+-]?(?:nan|inf)\b/gi, 'null'))
    if (Array.isArray(parsed)) return parsed.map((row: unknown) => Object(row))
  } catch {
    // said below
  }
  throw new EspalierError('MEASURING_FAILED', `what trtexec has written for ${option} is no list in JSON`)
}
