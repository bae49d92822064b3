import { setImmediate } from 'node:timers/promises'
import type { ArtifactStore, Variants } from '../catalog/index.js'
import type { Database } from '../store/index.js'
import { References } from './references.js'

export interface RetentionOptions {
  readonly db: Database
  readonly variants: Variants
  readonly artifacts: ArtifactStore
  /** Resolves once the catalogues say what has changed so far. */
  readonly published: () => Promise<void>
  /** How long what nothing refers to is kept, ms; 0 for ever. */
  readonly keepMs: number
  /** How much of it is kept, bytes; what was unused longest goes first; 0 for all of it. */
  readonly keepBytes: number
  readonly now?: () => number
}

/** What was removed. */
export interface Swept {
  readonly variants: number
  readonly files: number
  readonly bytes: number
}

/** What has been unused for less than that stays, whatever its size: somebody may be about to assign it. */
const graceMs = 24 * 3600 * 1000

/**
 * Removes variants that nothing refers to any more, and then the files that no row names: in that order, so that a crash
 * leaves a file too many and never a row without its file. Every step is short, and looks again at what it removes.
 */
export class Retention {
  readonly #options: RetentionOptions
  readonly #references: References
  readonly #now: () => number
  #running: Promise<Swept> | null = null
  #isClosed = false

  constructor(options: RetentionOptions) {
    this.#options = options
    this.#references = new References(options.db)
    this.#now = options.now ?? Date.now
  }

  /** One sweep; where one runs already, that. */
  sweep(): Promise<Swept> {
    this.#running ??= this.#sweep().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Ends a sweep before its next step; to be called before the database is closed. */
  close(): void {
    this.#isClosed = true
  }

  async #sweep(): Promise<Swept> {
    const variants = await this.#sweepVariants()
    await this.#options.published()
    return { variants, ...(await this.#sweepFiles()) }
  }

  async #sweepVariants(): Promise<number> {
    const { keepMs, keepBytes } = this.#options
    const now = this.#now()
    for await (const id of this.#inSteps(this.#references.variants())) this.#references.mark(id, now)
    if (this.#isClosed) return 0
    const unused = this.#references.unused()
    let bytes = unused.reduce((sum, one) => sum + one.bytes, 0)
    let removed = 0
    for await (const one of this.#inSteps(unused)) {
      if (one.unusedSince > now - graceMs) break
      const isOld = keepMs > 0 && one.unusedSince <= now - keepMs
      const isTooMuch = keepBytes > 0 && bytes > keepBytes
      if (!isOld && !isTooMuch) break
      if (this.#references.isUsed(one.id)) continue
      this.#options.variants.remove(one.id)
      bytes -= one.bytes
      removed++
    }
    return removed
  }

  async #sweepFiles(): Promise<Omit<Swept, 'variants'>> {
    const { artifacts } = this.#options
    let [files, bytes] = [0, 0]
    if (this.#isClosed) return { files, bytes }
    const named = this.#references.artifacts()
    for await (const digest of artifacts.digests()) {
      if (this.#isClosed) break
      if (named.has(digest) || this.#references.isNamed(digest)) continue
      const freed = await artifacts.remove(digest)
      if (freed === null) continue
      files++
      bytes += freed
    }
    return { files, bytes }
  }

  async *#inSteps<T>(all: readonly T[]): AsyncGenerator<T> {
    for (const one of all) {
      await setImmediate()
      if (this.#isClosed) return
      yield one
    }
  }
}
