import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, readText, writeAtomic } from './files.js'

export interface OutboxLimits {
  readonly maxReports: number
  readonly maxBytes: number
}

const defaults: OutboxLimits = { maxReports: 2000, maxBytes: 4 * 2 ** 20 }

/**
 * Reports on disk, one file each, until the service says that they are stored. Ids sort by age. When a bound
 * would be passed the oldest give way, and are counted.
 */
export class Outbox {
  readonly #folder: string
  readonly #limits: OutboxLimits
  readonly #sizes = new Map<string, number>()
  #bytes = 0
  #dropped: number

  constructor(folder: string, limits: Partial<OutboxLimits> = {}) {
    this.#folder = folder
    this.#limits = { ...defaults, ...limits }
    mkdirSync(folder, { recursive: true })
    this.#dropped = Number(readText(this.#droppedFile) ?? 0) || 0
    for (const file of readdirSync(folder).sort()) {
      if (file.endsWith('.tmp')) rmSync(join(folder, file), { force: true })
      if (file.endsWith('.json')) this.#count(file.slice(0, -5), statSync(join(folder, file)).size)
    }
  }

  /** Reports that were given up for want of room since this device was set up. */
  get dropped(): number {
    return this.#dropped
  }

  get size(): number {
    return this.#sizes.size
  }

  /** The ids that wait, oldest first. */
  ids(): string[] {
    return [...this.#sizes.keys()]
  }

  /** Keeps a report; on a full disk it is counted as dropped and the error goes to the caller. */
  put(id: string, report: object): void {
    const text = JSON.stringify(report)
    const bytes = Buffer.byteLength(text)
    while (
      this.#sizes.size > 0 &&
      (this.#sizes.size >= this.#limits.maxReports || this.#bytes + bytes > this.#limits.maxBytes)
    ) {
      this.remove(this.#sizes.keys().next().value!)
      this.#drop()
    }
    try {
      writeAtomic(this.#path(id), text)
    } catch (e) {
      this.#drop()
      throw e
    }
    this.#count(id, bytes)
  }

  /** The report's JSON text; null if it has gone or was damaged on disk (then it is dropped and counted). */
  read(id: string): string | null {
    try {
      const text = readFileSync(this.#path(id), 'utf8')
      JSON.parse(text)
      return text
    } catch (e) {
      if (!(e instanceof SyntaxError) && errnoOf(e) === undefined) throw e
      this.remove(id)
      this.#drop()
      return null
    }
  }

  /** Forgets a report; an id that is not here is none of our business. */
  remove(id: string): void {
    const bytes = this.#sizes.get(id)
    if (bytes === undefined) return
    rmSync(this.#path(id), { force: true })
    this.#sizes.delete(id)
    this.#bytes -= bytes
  }

  #count(id: string, bytes: number): void {
    this.#sizes.set(id, bytes)
    this.#bytes += bytes
  }

  #drop(): void {
    this.#dropped++
    try {
      writeAtomic(this.#droppedFile, String(this.#dropped))
    } catch (e) {
      // A disk that is full cannot hold the count either; memory has it until the next drop.
      if (errnoOf(e) === undefined) throw e
    }
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`)
  }

  get #droppedFile(): string {
    return join(this.#folder, 'dropped')
  }
}
