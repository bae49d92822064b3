import { openAsBlob } from 'node:fs'
import type { Problem } from '../http/schemas/index.js'
import type { Page } from '../store/index.js'

/** What the service answered other than success. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** The service's HTTP interface, as any program would use it. */
export class Api {
  constructor(readonly url: string) {}

  get<T>(path: string): Promise<T> {
    return this.#call('GET', path)
  }

  post<T>(path: string, body: object): Promise<T> {
    return this.#call('POST', path, JSON.stringify(body), 'application/json')
  }

  put<T>(path: string, body: object): Promise<T> {
    return this.#call('PUT', path, JSON.stringify(body), 'application/json')
  }

  async upload<T>(path: string, file: string): Promise<T> {
    return this.#call('POST', path, await openAsBlob(file), 'application/octet-stream')
  }

  /** Every item of a list, page by page. */
  async list<T>(path: string): Promise<T[]> {
    const items: T[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const more = cursor && `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`
      const page: Page<T> = await this.get(`${path}${more}`)
      items.push(...page.items)
      cursor = page.next
    }
    return items
  }

  /** The thing at `path`, or undefined when there is none. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path)
    } catch (e) {
      if (e instanceof Refused && e.code.endsWith('_UNKNOWN')) return undefined
      throw e
    }
  }

  async #call<T>(method: string, path: string, body?: string | Blob, type?: string): Promise<T> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      body,
      headers: type === undefined ? {} : { 'content-type': type },
    })
    if (response.ok) return (await response.json()) as T
    const { code, detail } = (await response.json()) as Problem
    throw new Refused(code, `${method} ${path}: ${detail} (${code})`)
  }
}
