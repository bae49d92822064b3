/** What the service tells whoever watches. A watcher reads the resource named for the rest. */
export type ServiceEvent =
  | { readonly type: 'model.changed'; readonly model: string }
  /** What devices may choose from has changed: variants were added or withdrawn. */
  | { readonly type: 'variants.changed'; readonly model: string; readonly version: number }
  | {
      readonly type: 'compilation.changed'
      readonly compilation: string
      readonly state: string
    }
  | {
      readonly type: 'compilation.progress'
      readonly compilation: string
      readonly stage: string
      readonly done: number
      readonly total: number
      readonly message?: string
      readonly variant?: string
      readonly loss?: number
      readonly accuracy?: number | null
    }
  | { readonly type: 'device.changed'; readonly device: string }
  | { readonly type: 'report.stored'; readonly device: string; readonly report: string }

export type NumberedEvent = ServiceEvent & { readonly seq: number; readonly at: number }

type Watcher = (event: NumberedEvent) => void

/**
 * The service's own news: parts emit, the HTTP side streams. The last `kept` events stay, so that a watcher who
 * was away for a moment misses nothing. Watchers must not throw.
 */
export class Events {
  readonly #watchers = new Set<Watcher>()
  readonly #recent: NumberedEvent[] = []
  readonly #kept: number
  readonly #now: () => number
  #seq = 0

  constructor({ kept = 512, now = Date.now }: { kept?: number; now?: () => number } = {}) {
    this.#kept = kept
    this.#now = now
  }

  emit(event: ServiceEvent): void {
    const numbered = { ...event, seq: ++this.#seq, at: this.#now() }
    this.#recent.push(numbered)
    if (this.#recent.length > this.#kept) this.#recent.shift()
    for (const watch of this.#watchers) watch(numbered)
  }

  /** Calls `watch` for every event from now on. @returns a function that ends it. */
  watch(watch: Watcher): () => void {
    this.#watchers.add(watch)
    return () => this.#watchers.delete(watch)
  }

  /** Events after number `seq` that are still kept, oldest first; null if some are gone or `seq` is of another run. */
  since(seq: number): readonly NumberedEvent[] | null {
    const oldest = this.#recent[0]?.seq ?? this.#seq + 1
    if (seq > this.#seq || seq < oldest - 1) return null
    return this.#recent.filter((e) => e.seq > seq)
  }
}
