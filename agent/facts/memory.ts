import { dirname, join } from 'node:path'
import { readText } from '../store/files.js'

/** `totalBytes` is the machine's; `limitBytes` is what we may have: that, or the smallest cgroup limit above us. */
export interface MemoryFacts {
  readonly totalBytes: number
  readonly limitBytes: number
}

/** Memory of this machine and of every control group (v1 and v2) that this process lives under. */
export function memoryFacts(root: string): MemoryFacts {
  const totalBytes = memInfo(root, 'MemTotal') ?? Number.POSITIVE_INFINITY
  const limits = groups(root).map(({ limitBytes }) => limitBytes)
  return { totalBytes, limitBytes: Math.min(totalBytes, ...limits) }
}

/** What more processes of ours may take now: of this machine, and of every control group above us. 0 where nothing says it. */
export function availableBytes(root: string): number {
  return Math.min(memInfo(root, 'MemAvailable') ?? 0, ...groups(root).map(({ leftBytes }) => leftBytes))
}

function memInfo(root: string, field: string): number | null {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readText(join(root, 'proc/meminfo')) ?? '')
  return line ? Number(line[1]) * 1024 : null
}

interface Group {
  readonly limitBytes: number
  /** The limit less what the group's processes have; pages of files that nobody uses just now can be had again. */
  readonly leftBytes: number
}

/** Names of a hierarchy's files and fields, by version of control groups. */
const versions = {
  v1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', unused: 'total_inactive_file' },
  v2: { limit: 'memory.max', usage: 'memory.current', unused: 'inactive_file' },
} as const

function groups(root: string): Group[] {
  const found: Group[] = []
  for (const line of (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    if (!match) continue
    const [, controllers, path] = match
    if (controllers === '') found.push(...upwards(root, '', path, versions.v2))
    else if (controllers.split(',').includes('memory'))
      found.push(...upwards(root, 'memory', path, versions.v1))
  }
  return found
}

/** The groups with a limit from the one at `path` up to the top of its hierarchy. The limit "max" is none. */
function upwards(
  root: string,
  hierarchy: string,
  path: string,
  { limit, usage, unused }: (typeof versions)[keyof typeof versions],
): Group[] {
  const top = join(root, 'sys/fs/cgroup', hierarchy)
  const found: Group[] = []
  for (let group = path; ; group = dirname(group)) {
    const text = (file: string) => readText(join(top, group, file))?.trim() ?? ''
    if (/^\d+$/.test(text(limit))) {
      const limitBytes = Number(text(limit))
      const idle = Number(new RegExp(`^${unused} (\\d+)$`, 'm').exec(text('memory.stat'))?.[1] ?? 0)
      found.push({ limitBytes, leftBytes: limitBytes - Math.max(0, Number(text(usage)) - idle) })
    }
    if (group === '/' || group === '.') return found
  }
}
