import { EspalierError } from '@espalier/shared'
import { type Block, type BlocksRequest, maxWindow, wanted } from '@espalier/shared/messages/index.js'
import type { Clock } from '../clock.js'
import type { Partial } from '../store/partial.js'
import { Window } from './window.js'

export interface DownloadOptions {
  readonly digest: string
  readonly clock: Clock
  /** Publishes a request; false while the service or the broker is away. */
  readonly send: (request: BlocksRequest) => boolean
  /** A block that does not hash to what was signed was refused. */
  readonly onDamaged?: (error: EspalierError) => void
  readonly onBlock?: () => void
  /** How long nothing may arrive before what is under way counts as lost, ms; more on slow paths. */
  readonly patienceMs?: number
}

interface Request {
  readonly at: number
  left: number
  bytes: number
}

const mostDamaged = 16

/**
 * One artifact's way here: keeps a window of blocks under way, asks for more when half of it has come, and asks
 * again for what was lost. It never asks for a block that it holds, or that may still come.
 */
export class Download {
  readonly #partial: Partial
  readonly #options: DownloadOptions
  readonly #window: Window
  readonly #outstanding = new Map<number, Request>()
  #requests: Request[] = []
  #cursor = 0
  #lastArrival = 0
  #timeouts = 0
  #damaged = 0
  #fresh = true
  #settle: { done: () => void; fail: (e: unknown) => void } | null = null

  constructor(partial: Partial, options: DownloadOptions) {
    this.#partial = partial
    this.#options = options
    this.#window = new Window(partial.list.blockBytes)
  }

  /** Resolves when every block is here. @throws what stopped it: a refusal, damage, the disk, the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#partial.missing === 0) return
    const patience = this.#options.patienceMs ?? 1000
    const finished = new Promise<void>((done, fail) => {
      this.#settle = { done, fail }
    })
    const onAbort = () => this.#settle?.fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const watch = setInterval(() => this.#watch(patience), Math.max(10, patience / 4))
    try {
      this.resume()
      await finished
    } finally {
      clearInterval(watch)
      signal.removeEventListener('abort', onAbort)
      this.#settle = null
    }
  }

  /** The service is (again) there: what was under way before is not any more. */
  resume(): void {
    this.#forgetOutstanding()
    this.#ask()
  }

  /** Takes in a message of `blocks/data`. What is not of this artifact is none of ours. */
  take(block: Block): void {
    if (!this.#settle || block.digestPrefix !== this.#options.digest.slice(0, block.digestPrefix.length))
      return
    try {
      if (block.kind === 'refusal') throw refused(block.payload)
      this.#takeBlock(block)
    } catch (e) {
      this.#settle.fail(e)
    }
  }

  #takeBlock({ index, payload }: Block): void {
    const request = this.#outstanding.get(index)
    if (this.#partial.has(index)) return
    this.#lastArrival = this.#options.clock.now()
    this.#timeouts = 0
    if (!this.#partial.accept(index, payload)) {
      this.#refuseDamaged(index)
    } else {
      this.#options.onBlock?.()
      if (request) this.#arrived(index, request, payload.length)
    }
    if (this.#partial.missing === 0) this.#settle?.done()
    else if (this.#outstanding.size <= this.#window.blocks / 2) this.#ask()
  }

  #refuseDamaged(index: number): void {
    const error = new EspalierError(
      'BLOCK_INVALID',
      `block ${index} of ${this.#options.digest.slice(0, 12)} does not match its signed hash and was thrown away`,
    )
    this.#options.onDamaged?.(error)
    if (++this.#damaged > mostDamaged) throw error
    this.#drop(index)
  }

  #arrived(index: number, request: Request, bytes: number): void {
    const now = this.#options.clock.now()
    if (request.bytes === 0) this.#window.answered(now - request.at)
    request.bytes += bytes
    this.#drop(index)
    // The service answers requests in their order: what is missing of one before the last will not come any more.
    const stale = this.#requests.indexOf(request) - 1
    if (stale > 0) this.#lose(new Set(this.#requests.slice(0, stale)))
    if (request.left > 0) return
    this.#window.delivered(request.bytes, now - request.at)
    this.#requests = this.#requests.filter((r) => r !== request)
  }

  #drop(index: number): void {
    const request = this.#outstanding.get(index)
    if (!request) return
    request.left--
    this.#outstanding.delete(index)
    this.#cursor = Math.min(this.#cursor, index)
  }

  #lose(requests: ReadonlySet<Request>): void {
    for (const [index, request] of this.#outstanding) if (requests.has(request)) this.#drop(index)
    this.#requests = this.#requests.filter((r) => !requests.has(r))
    this.#window.lost()
  }

  #forgetOutstanding(): void {
    this.#outstanding.clear()
    this.#requests = []
    this.#cursor = 0
    this.#fresh = true
    this.#lastArrival = this.#options.clock.now()
  }

  #watch(patience: number): void {
    if (this.#outstanding.size === 0) {
      this.#ask()
      return
    }
    const waited = this.#options.clock.now() - this.#lastArrival
    if (waited < Math.max(patience, 4 * this.#window.rttMs) * 2 ** Math.min(this.#timeouts, 5)) return
    this.#timeouts++
    this.#window.lost()
    this.resume()
  }

  /** Asks for as many blocks as the window still holds. */
  #ask(): void {
    const room = Math.min(this.#window.blocks - this.#outstanding.size, maxWindow)
    const blocks: number[] = []
    const count = this.#partial.list.hashes.length
    for (; this.#cursor < count && blocks.length < room; this.#cursor++) {
      if (!this.#partial.has(this.#cursor) && !this.#outstanding.has(this.#cursor)) blocks.push(this.#cursor)
    }
    if (blocks.length === 0) return
    const message = {
      digest: this.#options.digest,
      ...wanted(blocks),
      window: blocks.length,
      fresh: this.#fresh,
    }
    if (!this.#options.send(message)) {
      this.#cursor = blocks[0]
      return
    }
    this.#fresh = false
    if (this.#outstanding.size === 0) this.#lastArrival = this.#options.clock.now()
    const request = { at: this.#options.clock.now(), left: blocks.length, bytes: 0 }
    this.#requests.push(request)
    for (const block of blocks) this.#outstanding.set(block, request)
  }
}

function refused(payload: Uint8Array): EspalierError {
  const text = Buffer.from(payload).toString('utf8').slice(0, 500)
  return new EspalierError('ARTIFACT_UNKNOWN', `the service will not send this artifact: ${text}`)
}
