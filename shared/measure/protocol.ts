import type { Golden } from '../messages/catalogue.js'
import type { Percentiles } from './percentiles.js'

/**
 * What a measuring process and its parent say to each other: JSON objects, one a line, over the IPC channel of
 * `child_process.fork`. The process runs the base network, then says `ready` by itself; from then on each request
 * is answered by one answer with the same `id`, in order. It ends when the channel closes.
 *
 *     child   {"ready":{"runtimeBaseBytes":85213184,"runtime":"onnxruntime-node","runtimeVersion":"1.30.0"}}
 *     parent  {"id":1,"do":"load","path":"/var/lib/espalier/model.onnx"}
 *     child   {"id":1,"ok":{"coldLoadMs":12.1,"firstRunMs":3.4,"inputs":[{"name":"x","type":"float32","dims":[1,3,32,32]}]}}
 *     parent  {"id":2,"do":"memory"}
 *     child   {"id":2,"ok":{"measuredRamBytes":5242880,"runtimeBaseBytes":85213184,"processBytes":90456064}}
 *     parent  {"id":3,"do":"time","profile":{"queries":130,"seconds":5}}
 *     child   {"id":3,"ok":{"runs":130,"warmUps":32,"steady":true,"drift":1.01,"p50Ms":1.1,"p90Ms":1.2,"p95Ms":1.3,"p99Ms":null}}
 *     child   {"id":3,"error":{"code":"MODEL_UNRUNNABLE","message":"…"}}   (instead, where it failed)
 */
export type Request =
  | {
      readonly id: number
      readonly do: 'load'
      readonly path: string
      readonly threads?: number
      readonly shapes?: Shapes
    }
  | { readonly id: number; readonly do: 'memory' }
  | { readonly id: number; readonly do: 'golden' }
  | { readonly id: number; readonly do: 'time'; readonly profile: Profile }
  | {
      readonly id: number
      readonly do: 'compare'
      readonly paths: readonly string[]
      readonly rounds: number
      readonly roundMs: number
      readonly threads?: number
      readonly shapes?: Shapes
    }

export type Message =
  | { readonly ready: Ready }
  | { readonly id: number; readonly ok: Loaded | Memory | Latency | Compared | Golden }
  | { readonly id?: number; readonly error: { readonly code: string; readonly message: string } }

/** Sizes of inputs by name, for those whose dynamic dimensions are not the batch alone. */
export type Shapes = Readonly<Record<string, readonly number[]>>

export interface Ready {
  /** VmHWM once the runtime has run the base network. */
  readonly runtimeBaseBytes: number
  readonly runtime: string
  readonly runtimeVersion: string
}

export interface Loaded {
  /** From the file to a session that can run. */
  readonly coldLoadMs: number
  readonly firstRunMs: number
  readonly inputs: readonly {
    readonly name: string
    readonly type: string
    readonly dims: readonly number[]
  }[]
}

export interface Memory {
  /** What the model adds: `processBytes − runtimeBaseBytes`. */
  readonly measuredRamBytes: number
  readonly runtimeBaseBytes: number
  /** VmHWM of the whole process. */
  readonly processBytes: number
}

/** At least `queries` timed queries, but no new one after `seconds`; one is always timed. */
export interface Profile {
  readonly queries: number
  readonly seconds: number
}

export interface Latency extends Percentiles {
  /** Queries timed. */
  readonly runs: number
  readonly warmUps: number
  /** Median of the last quarter of the queries over that of the first: above 1.1 the machine has slowed down. */
  readonly drift: number
  /** Whether the warm-up reached a steady state: two windows in a row whose medians differ by at most 5 %. */
  readonly steady: boolean
}

/** By path: the median query in ms, or null where the model does not load or run. */
export interface Compared {
  readonly p50Ms: readonly (number | null)[]
}

/** `quick` reports p95, `standard` p99 as well. */
export const profiles = {
  quick: { queries: 130, seconds: 5 },
  standard: { queries: 1000, seconds: 60 },
} as const satisfies Record<string, Profile>
