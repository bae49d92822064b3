import { dirname, join } from 'node:path'
import { readText } from '../store/files.js'

/** `totalBytes` is the machine's; `limitBytes` is what we may have: that, or the smallest cgroup limit above us. */
export interface MemoryFacts {
  readonly totalBytes: number
  readonly limitBytes: number
}

/** Memory of this machine and of every control group (v1 and v2) that this process lives under. */
export function memoryFacts(root: string): MemoryFacts {
  const totalBytes = memTotal(root)
  const limits = cgroupLimits(root)
  return { totalBytes, limitBytes: Math.min(totalBytes, ...limits) }
}

function memTotal(root: string): number {
  const line = /^MemTotal:\s+(\d+) kB$/m.exec(readText(join(root, 'proc/meminfo')) ?? '')
  return line ? Number(line[1]) * 1024 : Number.POSITIVE_INFINITY
}

function cgroupLimits(root: string): number[] {
  const limits: number[] = []
  for (const line of (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    if (!match) continue
    const [, controllers, path] = match
    if (controllers === '') limits.push(...upwards(root, '', path, 'memory.max'))
    else if (controllers.split(',').includes('memory')) {
      limits.push(...upwards(root, 'memory', path, 'memory.limit_in_bytes'))
    }
  }
  return limits
}

/** The limits in `file` from the group at `path` up to the top of its hierarchy. "max" is none. */
function upwards(root: string, hierarchy: string, path: string, file: string): number[] {
  const top = join(root, 'sys/fs/cgroup', hierarchy)
  const limits: number[] = []
  for (let group = path; ; group = dirname(group)) {
    const text = readText(join(top, group, file))?.trim()
    if (text && /^\d+$/.test(text)) limits.push(Number(text))
    if (group === '/' || group === '.') return limits
  }
}
