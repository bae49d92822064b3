import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { asEspalierError, EspalierError } from '@espalier/shared'
import type { Setup } from '@espalier/shared/measure/index.js'
import { MAX_INFERENCE_BYTES } from '@espalier/shared/messages/index.js'
import { errnoOf } from '../store/files.js'
import { Backend } from './backend.js'
import { sendError } from './routes.js'

export interface EndpointOptions {
  /** Loopback only; 0 for any free one. */
  readonly port: number
  /** The script of a serving process. */
  readonly child: URL
  readonly log: (line: string) => void
  /** First and longest pause before a process that ended is started again, ms. */
  readonly restartMs?: readonly [first: number, longest: number]
}

/** A variant's folder, and how it is run; without a setup by one thread. */
export interface Wanted {
  readonly folder: string
  readonly setup?: Setup
}

/** Requests that may be under way at once, and bytes of them. */
const MAX_REQUESTS = 64
const MAX_BYTES_UNDER_WAY = 2 * MAX_INFERENCE_BYTES
const MAX_CONNECTIONS = 256

/**
 * The Open Inference Protocol v2 on loopback, over whatever variant is active. Connections are held here, networks in
 * processes of their own: a swap loads the new one, sends it every request from then on, and ends the old one when
 * its last answer is out, so that no request is dropped and none meets a half-loaded network.
 */
export class Endpoint {
  readonly #options: EndpointOptions
  readonly #server: Server
  #sockets: string | null = null
  #wanted: Wanted | null = null
  #current: { readonly wanted: Wanted; readonly backend: Backend } | null = null
  #swapping: Promise<void> | null = null
  #pauseMs: number
  #retry: NodeJS.Timeout | null = null
  #count = 0
  #requests = 0
  #bytes = 0
  #isClosed = false

  constructor(options: EndpointOptions) {
    this.#options = options
    this.#pauseMs = options.restartMs?.[0] ?? 1000
    this.#server = createServer((request, response) => this.#take(request, response))
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** Opens the port; resolves with it. @throws PORT_TAKEN */
  async listen(): Promise<number> {
    const { port } = this.#options
    this.#sockets = mkdtempSync(join(tmpdir(), 'espalier-serve-'))
    try {
      await new Promise<void>((resolve, reject) =>
        this.#server.once('error', reject).listen(port, '127.0.0.1', resolve),
      )
    } catch (e) {
      rmSync(this.#sockets, { recursive: true, force: true })
      if (errnoOf(e) !== 'EADDRINUSE') throw e
      throw new EspalierError('PORT_TAKEN', `port ${port} of 127.0.0.1 is taken; give --serve another`)
    }
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on this variant is to answer; null for none. */
  serve(wanted: Wanted | null): void {
    if (isDeepStrictEqual(wanted, this.#wanted)) return
    this.#wanted = wanted
    this.#pauseMs = this.#options.restartMs?.[0] ?? 1000
    this.#swap()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wanted = null
    if (this.#retry) clearTimeout(this.#retry)
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeIdleConnections()
    await this.#swapping
    await this.#current?.backend.drain()
    this.#server.closeAllConnections()
    await closed
    if (this.#sockets) rmSync(this.#sockets, { recursive: true, force: true })
  }

  #swap(): void {
    if (this.#retry) clearTimeout(this.#retry)
    this.#retry = null
    this.#swapping ??= this.#swapAll().finally(() => {
      this.#swapping = null
    })
  }

  /** Swaps until what is served is what is wanted, or it cannot be. */
  async #swapAll(): Promise<void> {
    while (this.#wanted !== (this.#current?.wanted ?? null) && !this.#isClosed) {
      const wanted = this.#wanted
      try {
        const backend = wanted === null ? null : await this.#started(wanted)
        const before = this.#current
        this.#current = backend && wanted ? { wanted, backend } : null
        this.#options.log(wanted ? `serving ${wanted.folder}` : 'serving nothing')
        // Not awaited: a client that is slow to read its answer must not hold up the next swap.
        before?.backend.drain().catch((e) => this.#options.log(asEspalierError(e).message))
      } catch (e) {
        const { code, message } = asEspalierError(e)
        this.#options.log(`${code}: ${message}`)
        if (wanted === this.#wanted) return this.#retryLater()
      }
    }
  }

  async #started({ folder, setup = {} }: Wanted): Promise<Backend> {
    const backend = await Backend.start(
      this.#options.child,
      folder,
      setup,
      join(this.#sockets!, String(++this.#count)),
    )
    const since = performance.now()
    backend.ended.then(() => {
      if (this.#current?.backend !== backend || this.#isClosed) return
      this.#options.log(`MODEL_NOT_READY: the process that served ${folder} has ended; starting it again`)
      this.#current = null
      // One that ran for a while starts again at once; one that keeps falling waits longer each time.
      if (performance.now() - since > this.#pauseMs * 10) this.#swap()
      else this.#retryLater()
    })
    return backend
  }

  #retryLater(): void {
    if (this.#isClosed) return
    const longest = this.#options.restartMs?.[1] ?? 60_000
    this.#retry = setTimeout(() => this.#swap(), this.#pauseMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, longest)
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    try {
      checkOrigin(request)
      if (request.url === '/v2/health/live') {
        response.end()
        return
      }
      const current = this.#current
      if (!current)
        throw new EspalierError('MODEL_NOT_READY', 'no variant is being served yet; try again in a moment')
      this.#admit(request, response)
      current.backend.forward(request, response)
    } catch (e) {
      // What is left of its body is not waited for.
      response.setHeader('connection', 'close')
      sendError(response, e)
    }
  }

  /** Counts a request for as long as it lasts. @throws REQUEST_INVALID, MESSAGE_TOO_LARGE, MODEL_NOT_READY where too much is under way */
  #admit({ headers }: IncomingMessage, response: ServerResponse): void {
    if (headers['transfer-encoding'] !== undefined)
      throw new EspalierError('REQUEST_INVALID', 'send the length of the body (Content-Length), not chunks')
    const bytes = Number(headers['content-length'] ?? 0)
    if (!(bytes <= MAX_INFERENCE_BYTES))
      throw new EspalierError(
        'MESSAGE_TOO_LARGE',
        `the request has ${bytes} bytes, at most ${MAX_INFERENCE_BYTES} are taken`,
      )
    if (this.#requests >= MAX_REQUESTS || this.#bytes + bytes > MAX_BYTES_UNDER_WAY)
      throw new EspalierError('MODEL_NOT_READY', 'too many requests are under way; try again in a moment')
    this.#requests++
    this.#bytes += bytes
    response.once('close', () => {
      this.#requests--
      this.#bytes -= bytes
    })
  }
}

const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i

/** Keeps web pages out: a Host that is a name could have been pointed at this machine (DNS rebinding). */
function checkOrigin({ headers: { host = '', origin } }: IncomingMessage): void {
  if (!loopback.test(host))
    throw new EspalierError('HOST_FORBIDDEN', `Host '${host}' is not served here; use 127.0.0.1 or localhost`)
  if (origin !== undefined && origin !== `http://${host}`)
    throw new EspalierError('ORIGIN_FORBIDDEN', `pages of '${origin}' may not call this endpoint`)
}
