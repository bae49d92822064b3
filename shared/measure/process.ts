import type { Static, TSchema } from 'typebox'
import { asEspalierError, EspalierError } from '../errors.js'
import type { Golden } from '../messages/catalogue.js'
import { check, type Message } from '../messages/message.js'
import { baseNetwork } from './base-network.js'
import { type Command, Conversation } from './conversation.js'
import { interleave, type Latency } from './interleave.js'
import type { Profile } from './profiles.js'
import {
  type Answer,
  type Asked,
  answers,
  type Compared,
  type Loaded,
  type Memory,
  type Ready,
  type Setup,
  type Shapes,
  type Span,
} from './protocol.js'

/**
 * How a process that runs models asks glibc for memory: from this many bytes on a piece gets pages of its own, which go
 * back to the system when it is freed. By default the limit rises to the largest piece freed so far, and all that loading
 * a model frees stays in the process: networks took 1.3 to 1.6 times as much, by up to 15 % more or less each time, and
 * answered no faster. A program that runs a model should set it too; other C libraries ignore it.
 */
export const allocatorSettings = { MALLOC_MMAP_THRESHOLD_: '16384' } as const

export interface ProcessOptions {
  /** What answers by protocol.ts: a script that hands its onnxruntime to `serveMeasuring`, or another program. */
  readonly child: URL | Command
  /** How long one request may take; default 120,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** A fresh process that measures one model. Whatever the model does to it, only this process is lost. */
export class MeasuringProcess {
  readonly ready: Ready
  readonly #conversation: Conversation
  readonly #options: ProcessOptions

  private constructor(conversation: Conversation, options: ProcessOptions, ready: Ready) {
    this.#conversation = conversation
    this.#options = options
    this.ready = ready
  }

  /** Starts the process and waits until its runtime has run the base network. */
  static async start(options: ProcessOptions): Promise<MeasuringProcess> {
    options.signal?.throwIfAborted()
    const conversation = new Conversation(options.child, allocatorSettings)
    const network = Buffer.from(baseNetwork()).toString('base64')
    const ready = await ask(conversation, options, answers.start, { do: 'start', network })
    return new MeasuringProcess(conversation, options, ready)
  }

  /** @throws MODEL_UNSUPPORTED, MODEL_UNRUNNABLE, DIMENSION_UNKNOWN, OPTION_INVALID, MEASURING_FAILED */
  load(path: string, { threads, provider }: Setup = {}, shapes?: Shapes): Promise<Loaded> {
    return this.#ask(answers.load, { do: 'load', path, threads, provider, shapes })
  }

  /** What the loaded model has added so far, after a few more queries. */
  async memory(): Promise<Memory> {
    const { processBytes } = await this.#ask(answers.memory, { do: 'memory' })
    const { runtimeBaseBytes } = this.ready
    const measuredRamBytes = Math.max(0, processBytes - runtimeBaseBytes)
    return { measuredRamBytes, runtimeBaseBytes, processBytes }
  }

  /** What the loaded model answers to the fixed pattern. */
  golden(): Promise<Golden> {
    return this.#ask(answers.golden, { do: 'golden' })
  }

  warm(span: Span): Promise<Answer<'warm'>> {
    return this.#ask(answers.warm, { do: 'warm', ...span })
  }

  /** The time of each query, ms, in order. */
  async time(turn: Span & { readonly untimed: number }): Promise<readonly number[]> {
    const { latenciesMs } = await this.#ask(answers.time, { do: 'time', ...turn })
    return latenciesMs
  }

  /** Warms up and times the loaded model. */
  async latency(profile: Profile): Promise<Latency> {
    const [latency] = await interleave([this], profile)
    return latency
  }

  /** Times models in turn, whatever has been loaded: the median query of each. */
  compare(settings: Omit<Extract<Asked, { do: 'compare' }>, 'do'>): Promise<Compared> {
    return this.#ask(answers.compare, { do: 'compare', ...settings })
  }

  close(): void {
    this.#conversation.close()
  }

  #ask<S extends TSchema>(answer: Message<S>, asked: Asked): Promise<Static<S>> {
    return ask(this.#conversation, this.#options, answer, asked)
  }
}

async function ask<S extends TSchema>(
  conversation: Conversation,
  { timeoutMs = 120_000, signal }: ProcessOptions,
  answer: Message<S>,
  asked: Asked,
): Promise<Static<S>> {
  const said = await conversation.ask(asked, timeoutMs, signal)
  try {
    return check(answer, said)
  } catch (cause) {
    conversation.close()
    throw new EspalierError('MEASURING_FAILED', asEspalierError(cause).message, { cause })
  }
}
