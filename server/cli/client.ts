import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type ErrorCode, EspalierError, errorCodes } from '@espalier/shared'
import { type Command, Option } from 'commander'
import type { Dispatcher } from 'undici'
import type { Page } from '../store/index.js'
import { readSmall } from './small-file.js'

export interface ServerOptions {
  readonly server: string
  readonly token?: string
  readonly ca?: string
}

/** Adds the options that say which service a command talks to. */
export const serverOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--server <url>', 'the service').env('ESPALIER_SERVER').default('http://127.0.0.1:8080'),
    )
    .addOption(new Option('--ca <file>', "PEM of the service's authority, for https").env('ESPALIER_CA'))
    .addOption(new Option('--token <text>', 'needed from another machine').env('ESPALIER_TOKEN'))

/** A running service's API. A problem that it answers is thrown as an error with the problem's code. */
export class Client {
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #ca: string | undefined
  #dispatcher: Promise<Dispatcher> | undefined

  /** @throws OPTION_INVALID, FILE_NOT_FOUND */
  constructor({ server, token, ca }: ServerOptions) {
    if (!URL.canParse(server)) {
      throw new EspalierError(
        'OPTION_INVALID',
        `--server '${server}' is not a URL such as http://127.0.0.1:8080`,
      )
    }
    this.#url = new URL(server)
    this.#ca =
      ca === undefined ? undefined : readSmall(ca, 'name the PEM file of the authority with --ca').toString()
    this.#headers = token ? { authorization: `Bearer ${token}` } : {}
  }

  get<T>(
    path: string,
    query: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ): Promise<T> {
    const given = Object.entries(query).filter(([, v]) => v !== undefined)
    const search = new URLSearchParams(Object.fromEntries(given.map(([k, v]) => [k, String(v)])))
    return this.#json<T>(given.length > 0 ? `${path}?${search}` : path, { method: 'GET' })
  }

  /** Every entry of a list, page after page. */
  async all<T>(
    path: string,
    query: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ): Promise<T[]> {
    const items: T[] = []
    let cursor: string | undefined
    do {
      const page: Page<T> = await this.get(path, { ...query, cursor, limit: 500 })
      items.push(...page.items)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    return items
  }

  /** @throws the problem that the service answers */
  async delete(path: string): Promise<void> {
    await this.#fetch(path, { method: 'DELETE' })
  }

  send<T>(method: 'POST' | 'PUT', path: string, body?: object): Promise<T> {
    const headers: Record<string, string> = body ? { 'content-type': 'application/json' } : {}
    return this.#json<T>(path, { method, headers, body: body && JSON.stringify(body) })
  }

  /** Sends a file as it is read. `on` hears of the bytes that went out. @throws FILE_NOT_FOUND */
  async upload<T>(path: string, file: string, on: (done: number, total: number) => void): Promise<T> {
    const there = await stat(file).catch(() => undefined)
    if (!there?.isFile()) throw new EspalierError('FILE_NOT_FOUND', `there is no file '${file}'`)
    const total = there.size
    async function* chunks() {
      let done = 0
      for await (const chunk of createReadStream(file)) {
        done += chunk.length
        on(done, total)
        yield chunk
      }
    }
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(total) }
    const body = ReadableStream.from(chunks())
    return this.#json<T>(path, { method: 'POST', headers, body, duplex: 'half' })
  }

  /** Events from now on, until the signal is aborted. */
  async *events(signal: AbortSignal): AsyncGenerator<Record<string, unknown>> {
    const { body } = await this.#fetch('/v1/events', { signal })
    let text = ''
    for await (const chunk of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const data = block.split('\n').find((line) => line.startsWith('data: '))
        if (data) yield JSON.parse(data.slice('data: '.length))
      }
    }
  }

  async #json<T>(path: string, init: RequestInit): Promise<T> {
    return (await (await this.#fetch(path, init)).json()) as T
  }

  /** Trusts the authority that was named; loaded only then. */
  #trusting(): Promise<Dispatcher> | undefined {
    const ca = this.#ca
    if (ca !== undefined)
      this.#dispatcher ??= import('undici').then(({ Agent }) => new Agent({ connect: { ca } }))
    return this.#dispatcher
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...this.#headers, ...init.headers }
    const dispatcher = await this.#trusting()
    const response = await fetch(new URL(path, this.#url), { ...init, headers, dispatcher }).catch(
      (cause) => {
        if (init.signal?.aborted) throw init.signal.reason
        throw new EspalierError(
          'SERVICE_UNREACHABLE',
          `no service answers at ${this.#url.origin}; start one with 'espalier up', or name another with --server`,
          { cause },
        )
      },
    )
    if (response.ok) return response
    throw await problem(response)
  }
}

async function problem(response: Response): Promise<EspalierError> {
  const text = await response.text()
  const said = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : {}
  const code: ErrorCode = errorCodes.find((c) => c === said.code) ?? 'INTERNAL'
  const where = (said.errors ?? []).map((e: { path: string; message: string }) => `${e.path} ${e.message}`)
  const detail =
    where.length > 0 ? where.join('; ') : (said.detail ?? `the service answered ${response.status}`)
  return new EspalierError(code, detail)
}
