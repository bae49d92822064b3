import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from './files.js'

export interface LogLimits {
  /** The most bytes of one file, and how many there are, the one that is written among them. */
  readonly fileBytes: number
  readonly files: number
}

const defaults: LogLimits = { fileBytes: 256 * 1024, files: 4 }

/**
 * The agent's own log on disk, bounded: `agent.log` is written until it is full, then becomes `agent.log.1`, and the
 * oldest goes. It is not flushed, and a disk that takes nothing is no reason to stop.
 */
export class LogFile {
  readonly #folder: string
  readonly #limits: LogLimits
  #fd: number | null = null
  #bytes = 0

  constructor(folder: string, limits: Partial<LogLimits> = {}) {
    this.#folder = folder
    this.#limits = { ...defaults, ...limits }
  }

  /** Adds a line; one that is longer than a file may be is cut. */
  write(line: string): void {
    const { fileBytes } = this.#limits
    const bytes = Buffer.from(`${line.slice(0, fileBytes / 4)}\n`)
    try {
      if (this.#fd === null) this.#open()
      if (this.#bytes > 0 && this.#bytes + bytes.length > fileBytes) this.#rotate()
      if (this.#fd !== null) this.#bytes += writeSync(this.#fd, bytes)
    } catch (e) {
      if (errnoOf(e) === undefined) throw e
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
  }

  #open(): void {
    mkdirSync(this.#folder, { recursive: true })
    this.#fd = openSync(logPath(this.#folder, 0), 'a')
    this.#bytes = statSync(logPath(this.#folder, 0)).size
  }

  #rotate(): void {
    this.close()
    for (let i = this.#limits.files - 2; i >= 0; i--) {
      try {
        renameSync(logPath(this.#folder, i), logPath(this.#folder, i + 1))
      } catch (e) {
        if (errnoOf(e) !== 'ENOENT') throw e
      }
    }
    this.#open()
  }
}

/** The newest lines of a log, whole ones, `maxBytes` at most; empty where there is none. */
export function readLog(folder: string, maxBytes = Number.POSITIVE_INFINITY): string {
  const files = logFiles(folder)
  let text = ''
  for (const path of files) {
    text = readFileSync(path, 'utf8') + text
    if (Buffer.byteLength(text) > maxBytes) break
  }
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  const newest = bytes.subarray(bytes.length - maxBytes)
  return newest.toString('utf8', newest.indexOf('\n') + 1)
}

/** The files that there are, newest first. */
function logFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^agent\.log(\.\d+)?$/.test(name))
      .sort((a, b) => numberOf(a) - numberOf(b))
      .map((name) => join(folder, name))
  } catch (e) {
    if (errnoOf(e) === 'ENOENT') return []
    throw e
  }
}

const numberOf = (name: string) => Number(name.split('.')[2] ?? 0)
const logPath = (folder: string, i: number) => join(folder, i === 0 ? 'agent.log' : `agent.log.${i}`)
