import { errnoOf, readText, writeAtomic } from './files.js'

interface Entries {
  epoch: number
  counters: Record<string, number>
}

/**
 * The highest numbers this device has accepted (revisions, sequences) and used (the presence epoch), kept
 * through reboots so that nothing older is accepted again.
 */
export class Ledger {
  readonly #path: string
  readonly #entries: Entries

  constructor(path: string) {
    this.#path = path
    this.#entries = parseEntries(readText(path))
  }

  /** The highest accepted number of `counter`; 0 for none. */
  highest(counter: string): number {
    return this.#entries.counters[counter] ?? 0
  }

  /** Remembers an accepted number, on disk before it returns. @throws a system error if the disk will not have it. */
  accept(counter: string, n: number): void {
    const before = this.highest(counter)
    if (n <= before) return
    this.#entries.counters[counter] = n
    try {
      this.#save()
    } catch (e) {
      this.#entries.counters[counter] = before
      throw e
    }
  }

  /** A presence epoch above all before it, also where an earlier one could not be saved: it follows the clock. */
  nextEpoch(now: number): number {
    this.#entries.epoch = Math.max(this.#entries.epoch + 1, Math.floor(now))
    try {
      this.#save()
    } catch (e) {
      if (errnoOf(e) === undefined) throw e // a full disk must not keep the device off the network
    }
    return this.#entries.epoch
  }

  #save(): void {
    writeAtomic(this.#path, `${JSON.stringify(this.#entries)}\n`)
  }
}

function parseEntries(text: string | null): Entries {
  const entries: Entries = { epoch: 0, counters: {} }
  if (text === null) return entries
  let found: Partial<Entries> | null
  try {
    found = JSON.parse(text)
  } catch (e) {
    if (e instanceof SyntaxError) return entries
    throw e
  }
  if (Number.isSafeInteger(found?.epoch)) entries.epoch = found!.epoch!
  for (const [name, n] of Object.entries(found?.counters ?? {})) {
    if (Number.isSafeInteger(n)) entries.counters[name] = n
  }
  return entries
}
