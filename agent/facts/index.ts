import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Facts } from '@espalier/shared/messages/index.js'
import { readText } from '../store/files.js'
import { boardFacts } from './board.js'
import { cores } from './cores.js'
import { memoryFacts } from './memory.js'
import type { Probe } from './probe.js'
import { governors, thermalZones } from './thermal.js'

export { type BoardFacts, boardFacts } from './board.js'
export { physicalCores } from './cores.js'
export { availableBytes, type MemoryFacts, memoryFacts } from './memory.js'
export type { Probe } from './probe.js'
export { governors, type Heat, heat, thermalZones } from './thermal.js'

/** What is known of the machine itself, before anything of the agent's is added. */
export type MachineFacts = Omit<
  Facts,
  'memoryBudgetBytes' | 'p95LimitMs' | 'runtime' | 'runtimeVersion' | 'agentVersion' | 'labels'
> & {
  readonly thermalZones: readonly string[]
  readonly governor: string | null
  readonly jetsonRelease: string | null
}

/**
 * The machine as the file tree under `root` shows it (`/`, or a stand-in), completed by what the probe found
 * where the tree says nothing.
 */
export function machineFacts(root: string, probe: Probe | null): MachineFacts {
  const board = boardFacts(root)
  const { totalBytes, limitBytes } = memoryFacts(root)
  const known = (text: string, otherwise = '') =>
    (text === 'unknown' && otherwise ? otherwise : text).slice(0, 200)
  return {
    board: known(board.board, probe?.board),
    soc: known(board.soc),
    arch: process.arch,
    cpu: known('unknown', probe?.cpu || board.soc),
    cores: cores(root),
    memoryBytes: totalBytes,
    memoryLimitBytes: limitBytes < totalBytes ? limitBytes : null,
    kernel: known(board.kernel),
    os: known(osName(root) ?? 'unknown', probe?.os),
    powerMode: board.powerMode ?? null,
    executionProviders: [...(probe?.executionProviders ?? [])],
    thermalZones: thermalZones(root),
    governor: governors(root).governor ?? null,
    jetsonRelease: board.jetsonRelease ?? null,
  }
}

/** Asks a short-lived child for what needs large libraries; null if that child fails altogether. */
export async function runProbe(script: URL): Promise<Probe | null> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(script)], {
      timeout: 60_000,
    })
    return JSON.parse(stdout) as Probe
  } catch (e) {
    process.stderr.write(`espalier-agent: the probe of this machine failed: ${String(e)}\n`)
    return null
  }
}

function osName(root: string): string | null {
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readText(join(root, 'etc/os-release')) ?? '')?.[1] ?? null
}
