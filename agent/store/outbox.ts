import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { errnoOf, readText, writeAtomic } from './files.js'
import { countLine, countLineBytes, readReportLog } from './report-log.js'

export interface OutboxLimits {
  readonly maxReports: number
  readonly maxBytes: number
}

const defaults: OutboxLimits = { maxReports: 2000, maxBytes: 4 * 2 ** 20 }
/** A file is written anew once it is twice what waits in it, and this much more. */
const slackBytes = 256 * 1024

/** Where a report's line lies in the file. */
interface Place {
  readonly at: number
  readonly bytes: number
}

/**
 * Reports on disk, in one file that is appended to (`report-log.ts` has its form), until the service says that they are
 * stored. A report is flushed before `put` returns; that it was stored need not be: it is then sent, and told, once more.
 * When a bound would be passed the oldest give way, and are counted, in a place that needs no room on a full disk.
 */
export class Outbox {
  readonly #folder: string
  readonly #limits: OutboxLimits
  readonly #places = new Map<string, Place>()
  #fd: number
  #end: number
  #waitingBytes = 0
  #rewriteFrom = 0
  #dropped: number

  constructor(folder: string, limits: Partial<OutboxLimits> = {}) {
    this.#folder = folder
    this.#limits = { ...defaults, ...limits }
    mkdirSync(folder, { recursive: true })
    for (const name of readdirSync(folder)) if (name.endsWith('.tmp')) rmSync(join(folder, name))
    if (!existsSync(this.#path)) writeAtomic(this.#path, countLine(droppedBefore(folder)))
    const { waiting, dropped, wholeBytes, torn } = readReportLog(this.#path)
    this.#fd = openSync(this.#path, 'r+')
    this.#dropped = dropped
    this.#end = wholeBytes
    for (const { id, ...place } of waiting) this.#keep(id, place)
    if (torn !== null) ftruncateSync(this.#fd, this.#end)
    if (torn === 'report') this.#drop()
    this.#moveFromFolder()
  }

  /** Reports that were given up for want of room since this device was set up. */
  get dropped(): number {
    return this.#dropped
  }

  get size(): number {
    return this.#places.size
  }

  /** The ids that wait, oldest first. */
  ids(): string[] {
    return [...this.#places.keys()]
  }

  /** Keeps a report; on a full disk it is counted as dropped and the error goes to the caller. */
  put(id: string, report: object): void {
    const line = lineOf(id, JSON.stringify(report))
    const { maxReports, maxBytes } = this.#limits
    while (this.size > 0 && (this.size >= maxReports || this.#waitingBytes + line.length > maxBytes)) {
      this.#drop()
      this.remove(this.#places.keys().next().value!)
    }
    try {
      this.#keep(id, this.#append(line))
      fsyncSync(this.#fd)
    } catch (e) {
      this.#drop()
      this.remove(id)
      throw e
    }
    this.#tidy()
  }

  /** The report's JSON text; null if it has gone or was damaged on disk (then it is dropped and counted). */
  read(id: string): string | null {
    const place = this.#places.get(id)
    if (!place) return null
    try {
      const text = this.#line(place)
        .toString('utf8', id.length + 2)
        .trimEnd()
      JSON.parse(text)
      return text
    } catch (e) {
      if (!(e instanceof SyntaxError) && errnoOf(e) === undefined) throw e
      this.#drop()
      this.remove(id)
      return null
    }
  }

  /** Forgets a report; an id that is not here is none of our business. */
  remove(id: string): void {
    const place = this.#places.get(id)
    if (!place) return
    this.#places.delete(id)
    this.#waitingBytes -= place.bytes
    try {
      if (this.size === 0) this.#cut(countLineBytes)
      else this.#append(Buffer.from(`-${id}\n`))
    } catch (e) {
      // A full disk: after the next start it is sent once more, and stored as the same report.
      if (errnoOf(e) === undefined) throw e
    }
    this.#tidy()
  }

  close(): void {
    closeSync(this.#fd)
  }

  #keep(id: string, place: Place): void {
    this.#places.set(id, place)
    this.#waitingBytes += place.bytes
  }

  #line({ at, bytes }: Place): Buffer {
    const line = Buffer.alloc(bytes)
    readSync(this.#fd, line, 0, bytes, at)
    return line
  }

  /** Writes a line at the end, whole or not at all. @throws a system error */
  #append(line: Buffer): Place {
    const at = this.#end
    try {
      for (let done = 0; done < line.length; )
        done += writeSync(this.#fd, line, done, line.length - done, at + done)
    } catch (e) {
      this.#cut(at)
      throw e
    }
    this.#end = at + line.length
    return { at, bytes: line.length }
  }

  #cut(end: number): void {
    ftruncateSync(this.#fd, end)
    this.#end = end
  }

  /** Counts a report that is about to go: a power cut between the two counts it too many rather than not at all. */
  #drop(): void {
    this.#dropped++
    const line = countLine(this.#dropped)
    try {
      writeSync(this.#fd, line, 0, line.length, 0)
      fsyncSync(this.#fd)
    } catch (e) {
      // A disk that takes nothing, not even in place: memory has the count until the next one.
      if (errnoOf(e) === undefined) throw e
    }
  }

  /** Writes the file anew, with what waits alone, once most of it is about reports that have gone. */
  #tidy(): void {
    if (this.#end < Math.max(2 * this.#waitingBytes + slackBytes, this.#rewriteFrom)) return
    const waiting = [...this.#places].map(([id, place]) => ({ id, line: this.#line(place) }))
    try {
      writeAtomic(this.#path, Buffer.concat([countLine(this.#dropped), ...waiting.map(({ line }) => line)]))
    } catch (e) {
      if (errnoOf(e) === undefined) throw e
      this.#rewriteFrom = this.#end + slackBytes // a full disk: again when it has grown by as much
      return
    }
    closeSync(this.#fd)
    this.#fd = openSync(this.#path, 'r+')
    this.#end = countLineBytes
    this.#places.clear()
    this.#waitingBytes = 0
    for (const { id, line } of waiting) {
      this.#keep(id, { at: this.#end, bytes: line.length })
      this.#end += line.length
    }
  }

  /** Takes over what an agent of before kept in files of one report each; what finds no room waits for the next start. */
  #moveFromFolder(): void {
    const files = readdirSync(this.#folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
    try {
      for (const name of files) {
        const id = name.slice(0, -'.json'.length)
        const text = readText(join(this.#folder, name))
        if (text !== null && !text.includes('\n') && !this.#places.has(id))
          this.#keep(id, this.#append(lineOf(id, text)))
      }
      if (files.length > 0) fsyncSync(this.#fd)
    } catch (e) {
      if (errnoOf(e) === undefined) throw e
      return
    }
    for (const name of [...files, 'dropped']) rmSync(join(this.#folder, name), { force: true })
  }

  get #path(): string {
    return join(this.#folder, 'reports.log')
  }
}

const lineOf = (id: string, text: string) => Buffer.from(`+${id} ${text}\n`)

/** What an agent of before counted. */
const droppedBefore = (folder: string) => Number(readText(join(folder, 'dropped')) ?? 0) || 0
