import { EspalierError } from '@espalier/shared'
import {
  type Block,
  type BlockService,
  type BlocksRequest,
  maxWindow,
  mostBlocks,
  wanted,
} from '@espalier/shared/messages/index.js'
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
  /** How the service sends blocks; by default by itself to this device, and unpaced. */
  readonly service?: () => BlockService
  /** Subscribes to the artifact's topic, where blocks for many come; false if that is refused. */
  readonly listen?: () => Promise<boolean>
  readonly leave?: () => void
  /** When the connection last brought anything, be it a part of a block. */
  readonly heardAt?: () => number
  /** How long nothing may arrive before what is under way counts as lost, ms; more on slow paths. */
  readonly patienceMs?: number
}

interface Request {
  readonly at: number
  /** Bytes of all blocks that had come by then. */
  readonly before: number
  left: number
  isAnswered: boolean
}

const mostDamaged = 16
const momentMs = 200
/** A paced connection loses nothing unless it ends, and a pass for many waits for others at times. */
const patienceWhereLittleIsLost = 5
const plain: BlockService = { paced: false, broadcasts: false }

/**
 * One artifact's way here. A service that paces what it sends is asked for everything at once; from another a window of
 * blocks is kept under way, and more asked for when half of it has come. What was lost is asked for
 * again. It never asks for a block that it holds, or that may still come. Where the service broadcasts, it listens as well, until
 * something is lost on the way: then it is served alone, so that repairs never depend on what lost them.
 */
export class Download {
  readonly #partial: Partial
  readonly #options: DownloadOptions
  readonly #window: Window
  readonly #outstanding = new Map<number, Request>()
  #requests: Request[] = []
  #lastArrival = 0
  #timeouts = 0
  #damaged = 0
  #fresh = true
  #received = 0
  #listens = false
  #isAlone = false
  #patience: number
  #settle: { done: () => void; fail: (e: unknown) => void } | null = null

  constructor(partial: Partial, options: DownloadOptions) {
    this.#partial = partial
    this.#options = options
    this.#window = new Window(partial.list.blockBytes)
    this.#patience = options.patienceMs ?? 1000
  }

  /** Resolves when every block is here. @throws what stopped it: a refusal, damage, the disk, the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#partial.missing === 0) return
    const finished = new Promise<void>((done, fail) => {
      this.#settle = { done, fail }
    })
    const onAbort = () => this.#settle?.fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const watch = setInterval(() => this.#watch(), Math.max(10, this.#patience / 4))
    try {
      this.resume()
      await finished
    } finally {
      clearInterval(watch)
      signal.removeEventListener('abort', onAbort)
      this.#settle = null
      if (this.#listens) this.#options.leave?.()
    }
  }

  /** The service is (again) there: what was under way before is not any more. */
  resume(): void {
    if (!this.#settle) return
    this.#forgetOutstanding()
    this.#join()
    this.#ask()
  }

  get #service(): BlockService {
    return this.#options.service?.() ?? plain
  }

  /** Subscribes to what is sent to many. The request need not wait for the broker's answer: it comes after. */
  #join(): void {
    const { listen } = this.#options
    this.#listens = !this.#isAlone && this.#service.broadcasts && listen !== undefined
    if (!this.#listens) return
    void listen?.().then((granted) => {
      if (granted || !this.#listens) return
      this.#goAlone()
      this.resume()
    })
  }

  /** The service goes on for this device by itself. What has not come a moment later was lost, unless the service paces. */
  #isSentAlone(): void {
    this.#goAlone()
    if (!this.#service.paced) this.#patience = Math.min(this.#patience, momentMs)
  }

  #goAlone(): void {
    this.#isAlone = true
    if (this.#listens) this.#options.leave?.()
    this.#listens = false
  }

  /** Takes in a message of `blocks/data`. What is not of this artifact is none of ours. */
  take(block: Block): void {
    if (!this.#settle || block.digestPrefix !== this.#options.digest.slice(0, block.digestPrefix.length))
      return
    try {
      if (block.kind === 'refusal') throw refused(block.payload)
      if (block.kind === 'alone') this.#isSentAlone()
      else this.#takeBlock(block)
    } catch (e) {
      this.#settle.fail(e)
    }
  }

  #takeBlock({ index, payload }: Block): void {
    if (this.#partial.has(index)) return
    this.#lastArrival = this.#options.clock.now()
    this.#timeouts = 0
    if (!this.#partial.accept(index, payload)) {
      this.#refuseDamaged(index)
    } else {
      this.#options.onBlock?.()
      this.#received += payload.length
      this.#arrived(index)
    }
    if (this.#partial.missing === 0) this.#settle?.done()
    else if (this.#service.paced || this.#outstanding.size <= this.#window.blocks / 2) this.#ask()
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

  /** A block that came for many stands for the oldest that was asked for: the service counts what it may send, not which. */
  #arrived(index: number): void {
    const answered = this.#outstanding.has(index) ? index : this.#outstanding.keys().next().value
    const request = answered === undefined ? undefined : this.#outstanding.get(answered)
    if (answered === undefined || !request) return
    const now = this.#options.clock.now()
    if (!request.isAnswered) this.#window.answered(now - request.at)
    request.isAnswered = true
    this.#drop(answered)
    // To one device the service answers requests in their order: what is missing of one before the last will not come.
    const stale = this.#listens ? 0 : this.#requests.indexOf(request) - 1
    if (stale > 0) this.#lose(new Set(this.#requests.slice(0, stale)))
    if (request.left > 0) return
    this.#window.delivered(this.#received - request.before, now - request.at)
    this.#requests = this.#requests.filter((r) => r !== request)
  }

  #drop(index: number): void {
    const request = this.#outstanding.get(index)
    if (!request) return
    request.left--
    this.#outstanding.delete(index)
  }

  #lose(requests: ReadonlySet<Request>): void {
    for (const [index, request] of this.#outstanding) if (requests.has(request)) this.#drop(index)
    this.#requests = this.#requests.filter((r) => !requests.has(r))
    this.#window.lost()
    this.#goAlone()
  }

  #forgetOutstanding(): void {
    this.#outstanding.clear()
    this.#requests = []
    this.#fresh = true
    this.#lastArrival = this.#options.clock.now()
  }

  #watch(): void {
    if (this.#outstanding.size === 0) {
      this.#ask()
      return
    }
    const heardAt = Math.max(this.#lastArrival, this.#options.heardAt?.() ?? 0)
    const waited = this.#options.clock.now() - heardAt
    const isSlowToLose = this.#service.paced || this.#listens
    const patience = this.#patience * (isSlowToLose ? patienceWhereLittleIsLost : 1)
    if (waited < Math.max(patience, 4 * this.#window.rttMs) * 2 ** Math.min(this.#timeouts, 5)) return
    this.#timeouts++
    this.#window.lost()
    this.#goAlone()
    this.resume()
  }

  /** Says what is missing, and asks for as much of it as may be under way. */
  #ask(): void {
    if (this.#partial.missing === this.#outstanding.size) return
    const { clock, digest, send } = this.#options
    const most = this.#service.paced ? mostBlocks : Math.min(this.#window.blocks, maxWindow)
    const room = most - this.#outstanding.size
    if (room <= 0) return
    const lacking = this.#partial.list.hashes.flatMap((_, i) =>
      this.#partial.has(i) || this.#outstanding.has(i) ? [] : i,
    )
    const asked = lacking.slice(0, room)
    const listens = this.#listens
    const message = { digest, ...wanted(lacking), window: asked.length, fresh: this.#fresh, listens }
    if (!send(message)) return
    this.#fresh = false
    const at = clock.now()
    if (this.#outstanding.size === 0) this.#lastArrival = at
    const request = { at, before: this.#received, left: asked.length, isAnswered: false }
    this.#requests.push(request)
    for (const block of asked) this.#outstanding.set(block, request)
  }
}

function refused(payload: Uint8Array): EspalierError {
  const text = Buffer.from(payload).toString('utf8').slice(0, 500)
  return new EspalierError('ARTIFACT_UNKNOWN', `the service will not send this artifact: ${text}`)
}
