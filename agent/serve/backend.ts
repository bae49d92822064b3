import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { env as environment } from 'node:process'
import { pipeline } from 'node:stream'
import { EspalierError, errorCodes } from '@espalier/shared'
import { allocatorSettings, type Setup } from '@espalier/shared/measure/index.js'
import { sendError } from './routes.js'

type Word = { readonly ready: true } | { readonly error: { readonly code: string; readonly message: string } }

/** How long a variant may take to be loaded before it counts as broken, ms. */
const LOAD_MS = 120_000
/** How long clients of a variant that was replaced may take to read their answers, ms. */
const DRAIN_MS = 60_000

/** One variant being served by a process of its own. */
export class Backend {
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #socket: string
  readonly #connections = new Agent({ keepAlive: true })
  #inFlight = 0
  #idle: (() => void) | null = null

  private constructor(child: ChildProcess, socket: string) {
    this.#child = child
    this.#socket = socket
    this.ended = once(child, 'exit').then(() => {})
  }

  /**
   * Loads the variant in `folder`; resolves when it answers.
   * @throws MODEL_UNSUPPORTED, MODEL_UNRUNNABLE, MODEL_NOT_READY where its process ends or is late
   */
  static async start(child: URL, folder: string, setup: Setup, socket: string): Promise<Backend> {
    const process = fork(child, [folder, socket, JSON.stringify(setup)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      env: { ...environment, ...allocatorSettings },
    })
    const backend = new Backend(process, socket)
    const failed = (why: string) => new EspalierError('MODEL_NOT_READY', `the serving process ${why}`)
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(failed(`did not load ${folder} in ${LOAD_MS / 1000} s`)), LOAD_MS)
        process.once('error', (e) => reject(failed(`could not be started: ${e.message}`)))
        process.once('exit', (status, by) => reject(failed(`ended (${by ?? `status ${status}`})`)))
        process.once('message', (word: Word) => {
          if ('ready' in word) return resolve()
          const code = errorCodes.find((c) => c === word.error.code) ?? 'MODEL_NOT_READY'
          reject(new EspalierError(code, word.error.message))
        })
      })
    } catch (e) {
      backend.kill()
      throw e
    } finally {
      clearTimeout(timer)
    }
    return backend
  }

  /** Hands a request on and its answer back, both as they come. */
  forward(request: IncomingMessage, response: ServerResponse): void {
    const { method, url: path, headers } = request
    const upstream = httpRequest({
      socketPath: this.#socket,
      agent: this.#connections,
      method,
      path,
      headers,
    })
    this.#inFlight++
    response.once('close', () => {
      this.#inFlight--
      if (this.#inFlight === 0) this.#idle?.()
      if (!response.writableFinished) upstream.destroy()
    })
    upstream.once('response', (answered) => {
      response.writeHead(answered.statusCode ?? 502, withoutHops(answered.headers))
      pipeline(answered, response, () => {})
    })
    upstream.on('error', (e) =>
      sendError(
        response,
        new EspalierError('MODEL_NOT_READY', `the serving process has ended: ${e.message}`),
      ),
    )
    request.pipe(upstream)
  }

  /** Ends the process once every request that it was given is answered, or `DRAIN_MS` have passed. */
  async drain(): Promise<void> {
    if (this.#inFlight > 0) {
      const late = setTimeout(() => this.kill(), DRAIN_MS)
      const idle = new Promise<void>((resolve) => {
        this.#idle = resolve
      })
      await Promise.race([this.ended, idle])
      clearTimeout(late)
    }
    this.kill()
    await this.ended
  }

  kill(): void {
    this.#connections.destroy()
    this.#child.kill('SIGKILL')
  }
}

/** Connection matters of the inner hop are none of the client's. */
function withoutHops({ connection: _, 'keep-alive': __, ...rest }: IncomingMessage['headers']) {
  return rest
}
