import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type {
  Env,
  InferenceSession,
  InferenceSessionFactory,
  Tensor,
  TensorConstructor,
} from 'onnxruntime-common'
import { asEspalierError, EspalierError } from '../errors.js'
import type { Golden } from '../messages/catalogue.js'
import { baseNetwork } from './base-network.js'
import { compare } from './compare.js'
import { goldenOf } from './golden.js'
import { fill, inputsOf } from './inputs.js'
import { median, percentiles } from './percentiles.js'
import type { Compared, Latency, Loaded, Memory, Message, Profile, Request, Shapes } from './protocol.js'

/** What onnxruntime-node and its kin export. */
export interface Runtime {
  readonly InferenceSession: InferenceSessionFactory
  readonly Tensor: TensorConstructor
  readonly env: Env
}

/** Sessions as they are measured and deployed: no memory pattern, no spinning, one thread unless asked otherwise. */
export const sessionOptions = (threads = 1): InferenceSession.SessionOptions => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableMemPattern: false,
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
})

/** Queries before memory is read: by the second the arena has grown to its size. */
const MEMORY_RUNS = 5
/** Calls after which V8 has optimised a function, and the time that its compiler takes beside it. */
const HOT = 400
const SETTLED_MS = 40
const WINDOW = 8
const MAX_WINDOWS = 16

/**
 * Makes this process, started by `child_process.fork`, a measuring process with the given runtime; see protocol.ts.
 * It ends when the parent disconnects.
 */
export async function serveMeasuring(runtime: Runtime): Promise<void> {
  const send = (message: Message) => process.send?.(message)
  process.on('disconnect', () => process.exit(0))
  try {
    const measured = new Measured(runtime)
    await measured.base()
    let last = Promise.resolve()
    process.on('message', (request: Request) => {
      last = last.then(async () => {
        try {
          send({ id: request.id, ok: await answer(measured, request) })
        } catch (thrown) {
          send({ id: request.id, error: problem(thrown) })
        }
      })
    })
    const version = runtime.env.versions.node ?? runtime.env.versions.common
    send({
      ready: { runtimeBaseBytes: measured.baseBytes, runtime: 'onnxruntime-node', runtimeVersion: version },
    })
  } catch (thrown) {
    send({ error: problem(thrown) })
  }
}

const problem = (thrown: unknown) => {
  const { code, message } = asEspalierError(thrown)
  return { code, message }
}

function answer(
  measured: Measured,
  request: Request,
): Promise<Loaded | Latency | Memory | Compared | Golden> {
  if (request.do === 'load') return measured.load(request.path, request.threads, request.shapes)
  if (request.do === 'memory') return measured.memory()
  if (request.do === 'compare') return measured.compare(request)
  if (request.do === 'golden') return measured.golden()
  return measured.time(request.profile)
}

class Measured {
  baseBytes = 0
  #session?: InferenceSession
  #feeds: Record<string, Tensor> = {}

  constructor(readonly runtime: Runtime) {}

  /**
   * Runs the base network, and before it what fills inputs until V8 has compiled it: its compiler takes 1.7 MB once, which
   * a model with a large input would be charged with otherwise.
   */
  async base(): Promise<void> {
    const data = new Float32Array(3 * 16 * 16)
    for (let i = 0; i < HOT; i++) fill(data)
    await setTimeout(SETTLED_MS)
    const session = await this.runtime.InferenceSession.create(baseNetwork(), sessionOptions())
    const feeds = { x: new this.runtime.Tensor('float32', data, [1, 3, 16, 16]) }
    for (let i = 0; i < MEMORY_RUNS; i++) dispose(await session.run(feeds))
    await session.release()
    this.baseBytes = peakBytes()
  }

  async load(path: string, threads?: number, shapes?: Shapes): Promise<Loaded> {
    if (this.#session) throw new EspalierError('MEASURING_FAILED', 'a measuring process measures one model')
    const started = performance.now()
    try {
      this.#session = await this.runtime.InferenceSession.create(path, sessionOptions(threads))
    } catch (cause) {
      throw new EspalierError('MODEL_UNSUPPORTED', `the runtime cannot load '${path}': ${reason(cause)}`, {
        cause,
      })
    }
    const coldLoadMs = performance.now() - started
    const inputs = inputsOf(this.#session.inputMetadata, shapes)
    this.#feeds = this.#fed(inputs)
    try {
      const firstRunMs = await this.#query()
      return { coldLoadMs, firstRunMs, inputs: inputs.map(({ name, type, dims }) => ({ name, type, dims })) }
    } catch (cause) {
      throw new EspalierError('MODEL_UNRUNNABLE', `the model '${path}' does not run: ${reason(cause)}`, {
        cause,
      })
    }
  }

  async memory(): Promise<Memory> {
    for (let i = 0; i < MEMORY_RUNS; i++) await this.#query()
    const processBytes = peakBytes()
    return {
      measuredRamBytes: Math.max(0, processBytes - this.baseBytes),
      runtimeBaseBytes: this.baseBytes,
      processBytes,
    }
  }

  /** What the loaded model answers. */
  async golden(): Promise<Golden> {
    const outputs = await this.#loaded().run(this.#feeds)
    const golden = goldenOf(outputs)
    dispose(outputs)
    return golden
  }

  compare({ paths, threads, ...settings }: Extract<Request, { do: 'compare' }>): Promise<Compared> {
    const open = (path: string) => this.runtime.InferenceSession.create(path, sessionOptions(threads))
    return compare(paths, settings, open, (inputs) => this.#fed(inputs))
  }

  #fed(inputs: ReturnType<typeof inputsOf>): Record<string, Tensor> {
    return Object.fromEntries(
      inputs.map(({ name, type, dims, data }) => [
        name,
        new this.runtime.Tensor(type as 'float32', data as Float32Array, dims),
      ]),
    )
  }

  async time({ queries, seconds }: Profile): Promise<Latency> {
    const end = performance.now() + seconds * 1000
    const { warmUps, steady } = await this.#warmUp(performance.now() + seconds * 250)
    const latencies: number[] = []
    do latencies.push(await this.#query())
    while (latencies.length < queries && performance.now() < end)
    const quarter = Math.ceil(latencies.length / 4)
    const drift = median(latencies.slice(-quarter)) / median(latencies.slice(0, quarter))
    return { runs: latencies.length, warmUps, steady, drift, ...percentiles(latencies) }
  }

  /** Queries until two windows in a row have medians within 5 %, but not beyond `until` or `MAX_WINDOWS` windows. */
  async #warmUp(until: number): Promise<{ warmUps: number; steady: boolean }> {
    let before = Number.NaN
    let warmUps = 0
    for (let w = 0; w < MAX_WINDOWS; w++) {
      const window: number[] = []
      while (window.length < WINDOW && performance.now() < until) window.push(await this.#query())
      warmUps += window.length
      if (window.length < WINDOW) break
      const now = median(window)
      if (Math.abs(now - before) <= 0.05 * before) return { warmUps, steady: true }
      before = now
    }
    return { warmUps, steady: false }
  }

  /** One query, in ms. Its outputs are disposed after the clock stops. */
  async #query(): Promise<number> {
    const session = this.#loaded()
    const started = performance.now()
    const outputs = await session.run(this.#feeds)
    const ms = performance.now() - started
    dispose(outputs)
    return ms
  }

  #loaded(): InferenceSession {
    if (!this.#session) throw new EspalierError('MEASURING_FAILED', 'load a model first')
    return this.#session
  }
}

function dispose(outputs: InferenceSession.OnnxValueMapType): void {
  for (const output of Object.values(outputs)) output.dispose()
}

const reason = (cause: unknown) => asEspalierError(cause).message.replace(/\s+/g, ' ').slice(0, 400)

/** Peak resident bytes of this process: VmHWM on Linux, elsewhere what the system reports as the maximum. */
function peakBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  if (!match)
    throw new EspalierError(
      'MEASURING_FAILED',
      '/proc/self/status has no VmHWM; memory cannot be measured here',
    )
  return Number(match[1]) * 1024
}
