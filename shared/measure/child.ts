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
import { answerRequests } from './answering.js'
import { compare } from './compare.js'
import { goldenOf } from './golden.js'
import { fill, inputsOf } from './inputs.js'
import { median } from './percentiles.js'
import type { Answer, Asked, Compared, Loaded, Ready, Request, Setup, Shapes, Span } from './protocol.js'

/** What onnxruntime-node and its kin export. */
export interface Runtime {
  readonly InferenceSession: InferenceSessionFactory
  readonly Tensor: TensorConstructor
  readonly env: Env
}

/** Sessions as they are measured and deployed: no memory pattern, no spinning, one thread unless asked otherwise. */
export const sessionOptions = ({ threads = 1, provider }: Setup = {}): InferenceSession.SessionOptions => ({
  ...(provider !== undefined && { executionProviders: [provider] }),
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
 * Makes this process a measuring process with the given runtime.
 * @param name what reports call the runtime
 */
export function serveMeasuring(runtime: Runtime, name = 'onnxruntime-node'): void {
  const measured = new Measured(runtime, name)
  answerRequests((request) => answer(measured, request))
}

async function answer(measured: Measured, request: Request): Promise<Answer<Asked['do']>> {
  if (request.do === 'start') return measured.start(Buffer.from(request.network, 'base64'))
  if (request.do === 'load') return measured.load(request.path, request, request.shapes)
  if (request.do === 'memory') return measured.memory()
  if (request.do === 'golden') return measured.golden()
  if (request.do === 'warm') return measured.warm(request)
  if (request.do === 'time') return { latenciesMs: await measured.time(request, request.untimed) }
  return measured.compare(request)
}

class Measured {
  #session?: InferenceSession
  #feeds: Record<string, Tensor> = {}

  constructor(
    readonly runtime: Runtime,
    readonly name: string,
  ) {}

  /**
   * Runs the base network, and before it what fills inputs until V8 has compiled it: its compiler takes 1.7 MB once, which
   * a model with a large input would be charged with otherwise.
   */
  async start(network: Uint8Array): Promise<Ready> {
    const data = new Float32Array(3 * 16 * 16)
    for (let i = 0; i < HOT; i++) fill(data)
    await setTimeout(SETTLED_MS)
    const session = await this.runtime.InferenceSession.create(network, sessionOptions())
    const feeds = { x: new this.runtime.Tensor('float32', data, [1, 3, 16, 16]) }
    for (let i = 0; i < MEMORY_RUNS; i++) dispose(await session.run(feeds))
    await session.release()
    const { node, common } = this.runtime.env.versions
    return { runtimeBaseBytes: peakBytes(), runtime: this.name, runtimeVersion: node ?? common }
  }

  async load(path: string, { threads, provider }: Setup, shapes?: Shapes): Promise<Loaded> {
    if (this.#session) throw new EspalierError('MEASURING_FAILED', 'a measuring process measures one model')
    const started = performance.now()
    try {
      this.#session = await this.runtime.InferenceSession.create(path, sessionOptions({ threads, provider }))
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
      return {
        coldLoadMs,
        firstRunMs,
        inputs: inputs.map(({ name, type, dims }) => ({ name, type, dims: [...dims] })),
      }
    } catch (cause) {
      throw new EspalierError('MODEL_UNRUNNABLE', `the model '${path}' does not run: ${reason(cause)}`, {
        cause,
      })
    }
  }

  async memory(): Promise<Answer<'memory'>> {
    for (let i = 0; i < MEMORY_RUNS; i++) await this.#query()
    return { processBytes: peakBytes() }
  }

  /** What the loaded model answers. */
  async golden(): Promise<Golden> {
    const outputs = await this.#loaded().run(this.#feeds)
    const golden = goldenOf(outputs)
    dispose(outputs)
    return golden
  }

  compare({ paths, threads, provider, ...settings }: Extract<Request, { do: 'compare' }>): Promise<Compared> {
    const open = (path: string) =>
      this.runtime.InferenceSession.create(path, sessionOptions({ threads, provider }))
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

  /** Queries until two windows in a row have medians within 5 %; some windows after the least time it gives up. */
  async warm({ queries, leastSeconds, seconds }: Span): Promise<Answer<'warm'>> {
    const began = performance.now()
    const lasted = () => (performance.now() - began) / 1000
    let warmUps = 0
    let before = Number.NaN
    for (let unsteady = 0; unsteady < MAX_WINDOWS; ) {
      const window: number[] = []
      while (window.length < WINDOW && lasted() < seconds) window.push(await this.#query())
      warmUps += window.length
      if (window.length < WINDOW) break
      const now = median(window)
      const isSteady = Math.abs(now - before) <= 0.05 * before
      before = now
      if (warmUps < queries || lasted() < leastSeconds) continue
      if (isSteady) return { warmUps, steady: true }
      unsteady++
    }
    return { warmUps, steady: false }
  }

  /** The time of each query, ms, to a hundredth of a microsecond. */
  async time({ queries, leastSeconds, seconds }: Span, untimed: number): Promise<number[]> {
    for (let i = 0; i < untimed; i++) await this.#query()
    const began = performance.now()
    const lasted = () => (performance.now() - began) / 1000
    const latenciesMs: number[] = []
    do latenciesMs.push(Math.round((await this.#query()) * 1e5) / 1e5)
    while (lasted() < seconds && (latenciesMs.length < queries || lasted() < leastSeconds))
    return latenciesMs
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
