import { randomUUID } from 'node:crypto'
import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { errnoOf, readText } from './files.js'

/** Who holds a lock: a process id alone would be mistaken for its successor's after a reboot or a wrap. */
interface Holder {
  pid: number
  startTime: string
  boot: string
}

/** A held lock file. */
export interface Lock {
  release(): void
}

/** The process that holds a lock already. */
export interface Held {
  heldBy: number
}

/** Of one length, so that one holder's words can stand where another's stood. */
const wordsBytes = 200

/**
 * Takes the lock file at `path`, from a dead process if need be, or says which live process holds it.
 * A process killed by any signal gives its lock up by dying: the next one compares pid, start time and boot. On a full
 * disk the file of a dead process is used again.
 */
export function takeLock(path: string): Lock | Held {
  const mine = JSON.stringify(holder(process.pid)).padEnd(wordsBytes)
  const aside = `${path}.${randomUUID()}`
  try {
    try {
      writeFileSync(aside, mine, { flag: 'wx' })
    } catch (e) {
      const heldBy = lockHolder(path)
      if (heldBy !== null) return { heldBy }
      if (!isFull(e) || !takeOver(path, aside, mine)) throw e
    }
    for (;;) {
      try {
        linkSync(aside, path)
        return { release: () => releaseLock(path, mine) }
      } catch (e) {
        if (errnoOf(e) !== 'EEXIST') throw e
      }
      const seen = readText(path)
      if (seen === null) continue
      const other = parseHolder(seen)
      if (other && isAlive(other)) return { heldBy: other.pid }
      breakLock(path, seen)
    }
  } finally {
    rmSync(aside, { force: true })
  }
}

/** The live process that holds the lock at `path`, or null. */
export function lockHolder(path: string): number | null {
  const text = readText(path)
  const holder = text === null ? null : parseHolder(text)
  return holder && isAlive(holder) ? holder.pid : null
}

const isFull = (thrown: unknown) => ['ENOSPC', 'EDQUOT'].includes(errnoOf(thrown) ?? '')

/** Writes our words over those of a dead process, in its file moved aside, which needs no room. Whether there was one. */
function takeOver(path: string, aside: string, mine: string): boolean {
  const seen = readText(path)
  if (seen === null) return false
  try {
    renameSync(path, aside)
    if (readText(aside) !== seen) {
      linkSync(aside, path) // another process was quicker, and it is theirs by now
      return false
    }
  } catch (e) {
    if (errnoOf(e) === 'ENOENT' || errnoOf(e) === 'EEXIST') return false
    throw e
  }
  const fd = openSync(aside, 'r+')
  try {
    writeSync(fd, mine, 0)
  } finally {
    closeSync(fd)
  }
  return true
}

/** Removes a dead process's lock; if another process was quicker and it is theirs by now, puts it back. */
function breakLock(path: string, stale: string): void {
  const taken = `${path}.${randomUUID()}`
  try {
    renameSync(path, taken)
  } catch (e) {
    if (errnoOf(e) === 'ENOENT') return
    throw e
  }
  try {
    if (readFileSync(taken, 'utf8') !== stale) linkSync(taken, path)
  } catch (e) {
    if (errnoOf(e) !== 'EEXIST') throw e
  } finally {
    rmSync(taken, { force: true })
  }
}

function releaseLock(path: string, mine: string): void {
  if (readText(path) === mine) rmSync(path, { force: true })
}

function holder(pid: number): Holder {
  return { pid, startTime: startTimeOf(pid) ?? '', boot: bootId() }
}

function isAlive(other: Holder): boolean {
  return other.boot === bootId() && startTimeOf(other.pid) === other.startTime
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    const { pid, startTime, boot } = value as Partial<Holder>
    return typeof pid === 'number' && typeof startTime === 'string' && typeof boot === 'string'
      ? { pid, startTime, boot }
      : null
  } catch (e) {
    if (e instanceof SyntaxError) return null // written by half before a power cut: nobody holds it
    throw e
  }
}

const bootId = () => readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''

/** Field 22 of /proc/PID/stat, counted after the name, which may hold spaces and brackets itself. */
function startTimeOf(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === null) return null
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? null : fields[19]
}
