import { join } from 'node:path'
import { readText } from '../store/files.js'

const folder = 'sys/devices/system/cpu'

/** Processors that are online, by the kernel's numbers, from its list of ranges such as `0-3,6`. */
function online(root: string): number[] {
  const ranges = (readText(join(root, folder, 'online')) ?? '').trim().split(',')
  return ranges.flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number)
    return /^\d+(-\d+)?$/.test(range) ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : []
  })
}

/** Processors that are online; 1 where the kernel does not tell. */
export const cores = (root: string): number => Math.max(1, online(root).length)

/** Cores that are online, where those that share one count once. */
export function physicalCores(root: string): number {
  const read = (cpu: number, file: string) =>
    readText(join(root, folder, `cpu${cpu}/topology`, file))?.trim() ?? ''
  const cores = online(root).map((cpu) => {
    const [socket, core] = [read(cpu, 'physical_package_id'), read(cpu, 'core_id')]
    return core === '' ? `processor ${cpu}` : `${socket} ${core}`
  })
  return Math.max(1, new Set(cores).size)
}
