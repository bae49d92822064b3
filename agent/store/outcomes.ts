import type { Setup } from '@espalier/shared/measure/index.js'
import type { Outcome } from '../select.js'
import { readText, writeAtomic } from './files.js'

interface Kept {
  readonly runtime: string
  readonly outcomes: Readonly<Record<string, Outcome>>
}

/** What benchmarks on this device said, by digest; another runtime's figures, or other ways to run it, say nothing of this one's. */
export class Outcomes {
  readonly #path: string
  readonly #runtime: string
  readonly #known: Map<string, Outcome>

  constructor(path: string, runtime: string) {
    this.#path = path
    this.#runtime = runtime
    const kept = parseKept(readText(path))
    this.#known = new Map(kept?.runtime === runtime ? Object.entries(kept.outcomes) : [])
  }

  get known(): ReadonlyMap<string, Outcome> {
    return this.#known
  }

  /** How a variant was found to be run best here. */
  setupOf(digest: string): Setup | undefined {
    const outcome = this.#known.get(digest)
    return outcome && 'setup' in outcome ? outcome.setup : undefined
  }

  /** @throws a system error if the disk will not have it; it is then known until the next start. */
  set(digest: string, outcome: Outcome): void {
    this.#known.set(digest, outcome)
    this.#save()
  }

  /** Forgets all, so that everything is measured anew. */
  clear(): void {
    this.#known.clear()
    this.#save()
  }

  /** Forgets what is not in `digests`, so that the file stays as small as the catalogue. */
  keepOnly(digests: ReadonlySet<string>): void {
    const gone = [...this.#known.keys()].filter((digest) => !digests.has(digest))
    if (gone.length === 0) return
    for (const digest of gone) this.#known.delete(digest)
    this.#save()
  }

  #save(): void {
    const kept: Kept = { runtime: this.#runtime, outcomes: Object.fromEntries(this.#known) }
    writeAtomic(this.#path, `${JSON.stringify(kept, null, 2)}\n`)
  }
}

function parseKept(text: string | null): Kept | null {
  if (text === null) return null
  try {
    const kept = JSON.parse(text) as Partial<Kept> | null
    return kept?.outcomes && kept.runtime ? { runtime: kept.runtime, outcomes: kept.outcomes } : null
  } catch (e) {
    if (e instanceof SyntaxError) return null
    throw e
  }
}
