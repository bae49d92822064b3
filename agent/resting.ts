/** Variants that failed, and when each may be tried again: after a pause that doubles with each failure. */
export class Resting {
  readonly #known = new Map<string, { at: number; pauseMs: number }>()

  /** @param pausesMs the first and the longest pause */
  constructor(
    private readonly now: () => number,
    private readonly pausesMs: readonly [first: number, longest: number],
  ) {}

  get size(): number {
    return this.#known.size
  }

  failed(digest: string): void {
    const [first, longest] = this.pausesMs
    const pauseMs = Math.min((this.#known.get(digest)?.pauseMs ?? first / 2) * 2, longest)
    this.#known.set(digest, { at: this.now() + pauseMs, pauseMs })
  }

  recovered(digest: string): void {
    this.#known.delete(digest)
  }

  /** All that failed, whether their pause is over or not. */
  all(): string[] {
    return [...this.#known.keys()]
  }

  /** Those that must not be tried now. */
  resting(): string[] {
    const now = this.now()
    return [...this.#known].filter(([, { at }]) => at > now).map(([digest]) => digest)
  }

  /** How long until the next of those that rested at `since` may be tried, ms; 0 if one may by now, infinity if none did. */
  nextMs(since: number): number {
    const now = this.now()
    const ends = [...this.#known.values()].map(({ at }) => at)
    return Math.min(...ends.filter((at) => at > since).map((at) => Math.max(0, at - now)))
  }

  keepOnly(digests: ReadonlySet<string>): void {
    for (const digest of this.#known.keys()) if (!digests.has(digest)) this.#known.delete(digest)
  }

  clear(): void {
    this.#known.clear()
  }
}
