import * as Type from 'typebox'
import { Golden } from '../messages/catalogue.js'
import { Bytes, Count, Label, Ms, Nullable } from '../messages/fields.js'
import { defineMessage, type Message } from '../messages/message.js'
import { MAX_LINE_BYTES } from './lines.js'

/**
 * What a measuring process and its parent say to each other: JSON objects, one a line, requests on the process's standard
 * input and answers on its standard output. Each request is answered by one answer with the same `id`, in order; the
 * process ends when its standard input does. docs/measuring.md tells it to whoever writes one for another runtime.
 *
 *     parent  {"id":1,"do":"start","network":"CAoSCGVz…"}
 *     child   {"id":1,"ok":{"runtimeBaseBytes":85213184,"runtime":"onnxruntime-node","runtimeVersion":"1.30.0"}}
 *     parent  {"id":2,"do":"load","path":"/var/lib/espalier/model.onnx"}
 *     child   {"id":2,"ok":{"coldLoadMs":12.1,"firstRunMs":3.4,"inputs":[{"name":"x","type":"float32","dims":[1,3,32,32]}]}}
 *     parent  {"id":3,"do":"memory"}
 *     child   {"id":3,"ok":{"processBytes":90456064}}
 *     parent  {"id":4,"do":"warm","queries":10,"leastSeconds":2,"seconds":15}
 *     child   {"id":4,"ok":{"warmUps":1840,"steady":true}}
 *     parent  {"id":5,"do":"time","untimed":0,"queries":3,"leastSeconds":0,"seconds":5}
 *     child   {"id":5,"ok":{"latenciesMs":[1.1,1.2,1.1]}}
 *     child   {"id":5,"error":{"code":"MODEL_UNRUNNABLE","message":"…"}}   (instead, where it failed)
 */
export type Asked =
  /** First, and once: run the base network, an ONNX file in base64, and say who you are. */
  | { readonly do: 'start'; readonly network: string }
  | ({ readonly do: 'load'; readonly path: string; readonly shapes?: Shapes } & Setup)
  | { readonly do: 'memory' }
  | { readonly do: 'golden' }
  /** Queries until they are steady: at least so many and so long, but no new one after `seconds`. */
  | ({ readonly do: 'warm' } & Span)
  /** Timed queries, after a few that are not. */
  | ({ readonly do: 'time'; readonly untimed: number } & Span)
  | ({
      readonly do: 'compare'
      readonly paths: readonly string[]
      readonly rounds: number
      readonly roundMs: number
      readonly shapes?: Shapes
    } & Setup)

export type Request = Asked & { readonly id: number }

/** At least `queries` queries and at least `leastSeconds`, but no new one after `seconds`; one is always made. */
export interface Span {
  readonly queries: number
  readonly leastSeconds: number
  readonly seconds: number
}

/** How a model is run. */
export interface Setup {
  /** Default 1. */
  readonly threads?: number
  /** An execution provider by the runtime's own name; without it the runtime's choice. */
  readonly provider?: string
}

/** Sizes of inputs by name, for those whose dynamic dimensions are not the batch alone. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** `runtimeBaseBytes` is VmHWM once the runtime has run the base network; `providers` can be asked for where models are loaded. */
const Ready = Type.Object({
  runtimeBaseBytes: Bytes,
  runtime: Label,
  runtimeVersion: Label,
  providers: Type.Optional(Type.Array(Label, { maxItems: 32 })),
})
export type Ready = Readonly<Type.Static<typeof Ready>>

/** `coldLoadMs` is from the file to a session that can run; `provider` what computes it. */
const Loaded = Type.Object({
  provider: Type.Optional(Label),
  coldLoadMs: Ms,
  firstRunMs: Ms,
  inputs: Type.Array(Type.Object({ name: Label, type: Label, dims: Type.Array(Count, { maxItems: 16 }) }), {
    maxItems: 256,
  }),
})
export type Loaded = Readonly<Type.Static<typeof Loaded>>

/** VmHWM of the whole process, after a few queries. */
const Peak = Type.Object({ processBytes: Bytes })

export interface Memory extends Readonly<Type.Static<typeof Peak>> {
  readonly runtimeBaseBytes: number
  /** What the model adds: `processBytes − runtimeBaseBytes`. */
  readonly measuredRamBytes: number
}

/** Whether the queries had become steady: the medians of two windows of them in a row differed by at most 5 %. */
const Warmed = Type.Object({ warmUps: Count, steady: Type.Boolean() })

const Timed = Type.Object({ latenciesMs: Type.Array(Ms, { minItems: 1 }) })

/** By path: the median query in ms, or null where the model does not load or run. */
const Compared = Type.Object({ p50Ms: Type.Array(Nullable(Ms)) })
export type Compared = Readonly<Type.Static<typeof Compared>>

const answer = <S extends Type.TSchema>(what: string, schema: S) =>
  defineMessage(`the measuring process's answer to '${what}'`, MAX_LINE_BYTES, schema)

/** What is answered to each request. */
export const answers = {
  start: answer('start', Ready),
  load: answer('load', Loaded),
  memory: answer('memory', Peak),
  golden: answer('golden', Golden),
  warm: answer('warm', Warmed),
  time: answer('time', Timed),
  compare: answer('compare', Compared),
} as const satisfies Record<Asked['do'], Message>

export type Answer<D extends Asked['do']> = Type.Static<(typeof answers)[D]['schema']>

export type Reply =
  | { readonly id: number; readonly ok: Answer<Asked['do']> }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
