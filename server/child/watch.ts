import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { formatBytes } from '@espalier/shared/bytes.js'
import { EspalierError } from '@espalier/shared/errors.js'

export interface Bounds {
  /** At most 2^31 - 1. */
  readonly timeMs: number
  /** Resident bytes of the child and everything it starts. */
  readonly memoryBytes: number
}

/** About as fast as one thread fills memory, in bytes a millisecond: the nearer the limit, the sooner the next look. */
const filling = 4 * 2 ** 20
const [leastMs, mostMs] = [1, 50]
/** Where a process is stopped, of its limit: what it fills until it is gone stays below. */
const stopAt = 0.98

/**
 * Ends the child's process group when it is about to go beyond its bounds, and says why: TIME_LIMIT or MEMORY_LIMIT.
 * @returns ends the watch
 */
export function watch(
  child: ChildProcess,
  { timeMs, memoryBytes }: Bounds,
  on: (reason: EspalierError) => void,
): () => void {
  const stop = (reason: EspalierError) => {
    on(reason)
    killGroup(child)
  }
  const clock = setTimeout(
    () => stop(new EspalierError('TIME_LIMIT', `stopped after ${timeMs / 1000} s, its time limit`)),
    timeMs,
  )
  let scales: NodeJS.Timeout
  const look = () => {
    const resident = residentBytes(child.pid)
    const left = stopAt * memoryBytes - resident
    if (left < 0) return stop(memoryLimit(memoryBytes, resident))
    scales = setTimeout(look, Math.min(mostMs, Math.max(leastMs, left / filling / 2)))
  }
  scales = setTimeout(look, leastMs)
  return () => {
    clearTimeout(clock)
    clearTimeout(scales)
  }
}

export const memoryLimit = (limit: number, used?: number) =>
  new EspalierError(
    'MEMORY_LIMIT',
    `stopped at its memory limit of ${formatBytes(limit)}${used ? ` (it used ${formatBytes(used)})` : ''}`,
  )

/** Ends a child that leads a process group, and everything in that group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown // gone already
  }
}

/** VmRSS of a process and all below it; 0 where /proc does not tell. */
function residentBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
    const own = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
    return children.reduce((sum, c) => sum + residentBytes(Number(c)), own)
  } catch {
    return 0 // the process ended meanwhile, or this system has no /proc
  }
}
