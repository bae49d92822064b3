import type { NumberedEvent } from '../events.js'

/** What arrives: the service's events, or `reset` when some were missed and all must be read anew. */
export type LiveEvent = NumberedEvent | { readonly type: 'reset' }
export type Connection = 'connecting' | 'live' | 'reconnecting'

const names = {
  'model.changed': true,
  'variants.changed': true,
  'compilation.changed': true,
  'compilation.progress': true,
  'device.changed': true,
  'report.stored': true,
  reset: true,
} satisfies Record<LiveEvent['type'], true>

const retryMs = 2000

/**
 * The service's event stream for as long as the page is open. The browser reconnects a stream that broke; one that
 * it gave up on (the service answered with an error) is opened anew. A stream that came back begins with a reset.
 */
export class Live {
  connection: Connection = 'connecting'
  readonly #eventWatchers = new Set<(event: LiveEvent) => void>()
  readonly #connectionWatchers = new Set<(connection: Connection) => void>()

  constructor(readonly url: string) {
    this.#open()
  }

  /** Calls `watch` for every event from now on. @returns a function that ends it. */
  watch(watch: (event: LiveEvent) => void): () => void {
    this.#eventWatchers.add(watch)
    return () => this.#eventWatchers.delete(watch)
  }

  /** Calls `watch` whenever the stream breaks or comes back. @returns a function that ends it. */
  watchConnection(watch: (connection: Connection) => void): () => void {
    this.#connectionWatchers.add(watch)
    return () => this.#connectionWatchers.delete(watch)
  }

  #open(): void {
    const source = new EventSource(this.url)
    source.addEventListener('open', () => {
      if (this.connection === 'reconnecting') this.#emit({ type: 'reset' })
      this.#become('live')
    })
    source.addEventListener('error', () => {
      this.#become('reconnecting')
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#open(), retryMs)
    })
    for (const name of Object.keys(names)) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => this.#emit(JSON.parse(data)))
    }
  }

  #emit(event: LiveEvent): void {
    for (const watch of this.#eventWatchers) watch(event)
  }

  #become(connection: Connection): void {
    if (this.connection === connection) return
    this.connection = connection
    for (const watch of this.#connectionWatchers) watch(connection)
  }
}
