import { join } from 'node:path'
import { readText, removeFlushed, writeAtomic } from './store/files.js'

/** Starts on which an unproven variant may be found before it is given up: whatever it does, it may be what ends them. */
const MOST_STARTS = 3

interface Mark {
  readonly digest: string
  /** Starts of the agent that found this variant active and unproven. */
  readonly starts: number
}

/**
 * The mark, on disk, of a variant that is active and has not yet shown that it serves. Set before the swap and taken away
 * after the proof, so that a power cut, or a variant that takes the machine down with it, leaves it behind.
 */
export class Probation {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'probation.json')
  }

  /** The variant on probation; null for none. */
  get digest(): string | null {
    return this.#mark()?.digest ?? null
  }

  begin(digest: string): void {
    writeAtomic(this.#path, JSON.stringify({ digest, starts: 0 } satisfies Mark))
  }

  /** A start found the variant on probation. False once it was found so too often. */
  mayGoOn(): boolean {
    const mark = this.#mark()
    if (!mark) return true
    const starts = mark.starts + 1
    writeAtomic(this.#path, JSON.stringify({ ...mark, starts } satisfies Mark))
    return starts < MOST_STARTS
  }

  end(): void {
    removeFlushed(this.#path)
  }

  #mark(): Mark | null {
    const text = readText(this.#path)
    if (text === null) return null
    try {
      const { digest, starts } = JSON.parse(text) as Partial<Mark>
      return typeof digest === 'string' ? { digest, starts: Number(starts) || 0 } : null
    } catch (e) {
      if (e instanceof SyntaxError) return null
      throw e
    }
  }
}
