import { type ChildProcess, fork } from 'node:child_process'
import { EspalierError, errorCodes } from '../errors.js'
import type { Golden } from '../messages/catalogue.js'
import type {
  Compared,
  Latency,
  Loaded,
  Memory,
  Message,
  Profile,
  Ready,
  Request,
  Shapes,
} from './protocol.js'

/**
 * How a process that runs models asks glibc for memory: from this many bytes on a piece gets pages of its own, which go
 * back to the system when it is freed. By default the limit rises to the largest piece freed so far, and all that loading
 * a model frees stays in the process: networks took 1.3 to 1.6 times as much, by up to 15 % more or less each time, and
 * answered no faster. A program that runs a model should set it too; other C libraries ignore it.
 */
export const allocatorSettings = { MALLOC_MMAP_THRESHOLD_: '16384' } as const

export interface ProcessOptions {
  /** The script that hands its onnxruntime to `serveMeasuring`. */
  readonly child: URL
  /** How long one request may take; default 120,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

interface Answers {
  readonly load: Loaded
  readonly memory: Memory
  readonly time: Latency
  readonly compare: Compared
  readonly golden: Golden
}
type Answer<D extends Request['do']> = Answers[D]
type Body<R> = R extends Request ? Omit<R, 'id'> : never

/** A fresh process that measures one model. Whatever the model does to it, only this process is lost. */
export class MeasuringProcess {
  readonly ready: Ready
  readonly #child: ChildProcess
  readonly #options: ProcessOptions
  #nextId = 1

  private constructor(child: ChildProcess, options: ProcessOptions, ready: Ready) {
    this.#child = child
    this.#options = options
    this.ready = ready
  }

  /** Starts the process and waits until its runtime has run the base network. */
  static async start(options: ProcessOptions): Promise<MeasuringProcess> {
    options.signal?.throwIfAborted()
    const child = fork(options.child, {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      env: { ...process.env, ...allocatorSettings },
    })
    const ready = await reply(child, options, (m) => ('ready' in m ? m.ready : undefined))
    return new MeasuringProcess(child, options, ready)
  }

  /** @throws MODEL_UNSUPPORTED, MODEL_UNRUNNABLE, DIMENSION_UNKNOWN, OPTION_INVALID, MEASURING_FAILED */
  load(path: string, threads = 1, shapes?: Shapes): Promise<Loaded> {
    return this.#ask<'load'>({ do: 'load', path, threads, shapes })
  }

  /** What the loaded model has added so far, after a few more queries. */
  memory(): Promise<Memory> {
    return this.#ask<'memory'>({ do: 'memory' })
  }

  /** What the loaded model answers to the fixed pattern. */
  golden(): Promise<Golden> {
    return this.#ask<'golden'>({ do: 'golden' })
  }

  time(profile: Profile): Promise<Latency> {
    return this.#ask<'time'>({ do: 'time', profile })
  }

  /** Times models in turn, whatever has been loaded: the median query of each. */
  compare(settings: Omit<Extract<Request, { do: 'compare' }>, 'id' | 'do'>): Promise<Compared> {
    return this.#ask<'compare'>({ do: 'compare', ...settings })
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  #ask<D extends Request['do']>(body: Body<Extract<Request, { do: D }>>): Promise<Answer<D>> {
    const id = this.#nextId++
    const answered = reply(this.#child, this.#options, (m) => ('ok' in m && m.id === id ? m.ok : undefined))
    this.#child.send({ id, ...body })
    return answered as Promise<Answer<D>>
  }
}

/** The first message that `pick` accepts; an error message, an end, a timeout or an abort ends the process and rejects. */
function reply<T>(
  child: ChildProcess,
  { timeoutMs = 120_000, signal }: ProcessOptions,
  pick: (message: Message) => T | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer)
      child.off('message', onMessage).off('exit', onExit).off('error', onError)
      signal?.removeEventListener('abort', onAbort)
      end()
    }
    const fail = (error: unknown) => {
      child.kill('SIGKILL')
      settle(() => reject(error))
    }
    const failed = (why: string) =>
      fail(new EspalierError('MEASURING_FAILED', `the measuring process ${why}`))
    const onMessage = (message: Message) => {
      if ('error' in message) {
        const code = errorCodes.find((c) => c === message.error.code) ?? 'MEASURING_FAILED'
        return fail(new EspalierError(code, message.error.message))
      }
      const picked = pick(message)
      if (picked !== undefined) settle(() => resolve(picked))
    }
    const onExit = (status: number | null, by: string | null) =>
      failed(
        `ended (${by ?? `status ${status}`}); the model may have crashed the runtime or exhausted memory`,
      )
    const onError = (error: Error) => failed(`could not be used: ${error.message}`)
    const onAbort = () => fail(signal?.reason)
    const timer = setTimeout(() => failed(`did not answer within ${timeoutMs / 1000} s`), timeoutMs)
    child.on('message', onMessage).on('exit', onExit).on('error', onError)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    else if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode)
  })
}
