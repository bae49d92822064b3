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

/** In this time a process that fills memory as fast as it can takes some tens of megabytes. */
const watchMs = 50

/**
 * Ends the child's process group when it goes beyond its bounds, and says why: TIME_LIMIT or MEMORY_LIMIT.
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
  const scales = setInterval(() => {
    const resident = residentBytes(child.pid)
    if (resident > memoryBytes) stop(memoryLimit(memoryBytes, resident))
  }, watchMs)
  return () => {
    clearTimeout(clock)
    clearInterval(scales)
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
