import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { orinNano, pi4, pi5, tree } from '../agent/support/tree.js'
import { Resumable } from './parts/resumable.js'

export const about =
  "the agent's tests by the arm64 Node.js --node, under qemu-user (see CONTRIBUTING.md), on --board (pi4), those whose name has --tests in it; --minutes (none); what an earlier call ran is kept"

const boards: Readonly<Record<string, Readonly<Record<string, string>>>> = { pi4, pi5, orinNano }
const compiled = '.build/test'
/** How much longer things take than on a machine of their own. */
const PATIENCE = '10'
const MOST_MS = 20 * 60_000

/** What onnxruntime asks of a processor; that of a Pi 4. */
const cpuinfo = Array.from(
  { length: 4 },
  (_, i) =>
    `processor\t: ${i}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n` +
    'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n',
).join('\n')

interface Outcome {
  readonly pass: number
  readonly fail: number
  readonly seconds: number
  /** The first words of each test that failed. */
  readonly failed: readonly string[]
}

/** Runs each compiled test as a process of its own; times mean nothing here, what fails does. */
export default async function arm64(options: Readonly<Record<string, string>>): Promise<object> {
  const { node, board = 'pi4', tests = '', minutes } = options
  if (!node || !boards[board])
    throw new Error(`--node FILE is needed, and --board ${Object.keys(boards).join(' | ')}`)
  const env = {
    ...process.env,
    QEMU_LD_PREFIX: tree({ ...boards[board], 'proc/cpuinfo': cpuinfo }),
    QEMU_CPU: 'cortex-a72',
    ESPALIER_TEST_PATIENCE: PATIENCE,
    TAP_TIMEOUT: '0',
  }
  const { stdout } = await promisify(execFile)(node, ['-p', 'process.arch + " " + process.version'], { env })
  const kept = await Resumable.open(`arm64-${board}`, Number(minutes ?? Infinity))
  const files = readdirSync(join(compiled, 'agent'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.js') && file.includes(tests))
    .sort()
  const outcomes: Record<string, Outcome> = {}
  for (const file of files)
    outcomes[file] = await kept.figure(file, () => outcomeOf(node, join(compiled, 'agent', file), env))
  const sum = (of: 'pass' | 'fail') => Object.values(outcomes).reduce((total, one) => total + one[of], 0)
  return { node: stdout.trim(), board, pass: sum('pass'), fail: sum('fail'), tests: outcomes }
}

async function outcomeOf(node: string, file: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const began = performance.now()
  const args = ['--import=./test/support/plain-children.mjs', file]
  const tap = await new Promise<string>((resolve) =>
    execFile(node, args, { env, timeout: MOST_MS, maxBuffer: 2 ** 26 }, (_, output) => resolve(output)),
  )
  const count = (pattern: RegExp) => Number(pattern.exec(tap)?.[1] ?? 0)
  const failed = [...tap.matchAll(/^not ok \d+ - (.*?)(?: # time=.*)?$/gm)].map(([, name]) => name)
  const isWhole = /^# \{ total/m.test(tap)
  return {
    pass: count(/^# \{.*pass: (\d+)/m),
    fail: count(/^# \{.*fail: (\d+)/m) + (isWhole ? 0 : 1),
    seconds: Math.round((performance.now() - began) / 1000),
    failed: isWhole ? failed : [...failed, 'it did not come to its end'],
  }
}
