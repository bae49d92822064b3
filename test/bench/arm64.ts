import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { orinNano, pi4, pi5, tree } from '../agent/support/tree.js'

export const about =
  "a device's whole way and the agent's tests by the arm64 Node.js --node, under qemu-user (see CONTRIBUTING.md), on --board (pi4); what test/bench/results/arm64.json has is not run again, except for those whose name begins with --tests, or the way for --tests way; --minutes (none)"

const boards: Readonly<Record<string, Readonly<Record<string, string>>>> = { pi4, pi5, orinNano }
const compiled = '.build/test'
const results = 'test/bench/results/arm64.json'
/** What each test said, whole. */
const printed = '.build/bench/arm64'
/** How much longer things take than on a machine of their own. */
const PATIENCE = '10'
const MOST_MS = 60 * 60_000

/** What onnxruntime asks of a processor; that of a Pi 4. */
const cpuinfo = Array.from(
  { length: 4 },
  (_, i) =>
    `processor\t: ${i}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n` +
    'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n',
).join('\n')

interface Outcome {
  /** What ran on the board: all of the test, or the agents that it starts, while it and the service ran here. */
  readonly there: 'all' | 'agents'
  readonly pass: number
  readonly fail: number
  readonly seconds: number
  /** The first words of each test that failed, and of those that say that they cannot be held there. */
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
}

interface Board {
  readonly node: string
  /** What arm64/path.ts saw. */
  readonly way: object
  readonly tests: Readonly<Record<string, Outcome>>
}

/**
 * Runs each compiled test as a process of its own; times mean nothing here, what fails does. A test that starts agents as
 * processes runs on this machine, as the service does, and only they on the board.
 */
export default async function arm64(options: Readonly<Record<string, string>>): Promise<object> {
  const { node, board = 'pi4', tests = '', minutes = Infinity } = options
  if (!node || !boards[board])
    throw new Error(`--node FILE is needed, and --board ${Object.keys(boards).join(' | ')}`)
  const until = performance.now() + 60_000 * Number(minutes)
  const env = {
    ...process.env,
    QEMU_LD_PREFIX: tree({ ...boards[board], 'proc/cpuinfo': cpuinfo }),
    QEMU_CPU: 'cortex-a72',
    ESPALIER_TEST_AGENT_NODE: node,
    ESPALIER_TEST_PATIENCE: PATIENCE,
    TAP_TIMEOUT: '0',
  }
  mkdirSync(printed, { recursive: true })
  const run = promisify(execFile)
  keep(board, {
    node: (await run(node, ['-p', 'process.arch + " " + process.version'], { env })).stdout.trim(),
  })
  if (!kept(board).way || tests === 'way')
    keep(board, {
      way: JSON.parse((await run(process.execPath, [join(compiled, 'bench/arm64/path.js')], { env })).stdout),
    })
  for (const file of readdirSync(join(compiled, 'agent'), { recursive: true, encoding: 'utf8' }).sort()) {
    const isDue = tests === '' ? !kept(board).tests?.[file] : file.startsWith(tests)
    if (!file.endsWith('.test.js') || !isDue) continue
    if (performance.now() > until) break
    const { outcome, said } = await outcomeOf(node, join(compiled, 'agent', file), env)
    writeFileSync(join(printed, `${board}-${file.replaceAll('/', '-')}.tap`), said)
    console.error(file, JSON.stringify(outcome))
    keep(board, { tests: { ...kept(board).tests, [file]: outcome } })
  }
  const { tests: outcomes = {}, ...found } = kept(board)
  const sum = (of: 'pass' | 'fail') => Object.values(outcomes).reduce((total, one) => total + one[of], 0)
  return { board, ...found, pass: sum('pass'), fail: sum('fail'), tests: outcomes }
}

/** What is known of all boards; read anew each time, since several boards may be tried at once. */
const all = (): Record<string, Partial<Board>> =>
  existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : {}

const kept = (board: string): Partial<Board> => all()[board] ?? {}

function keep(board: string, more: Partial<Board>): void {
  writeFileSync(results, `${JSON.stringify({ ...all(), [board]: { ...kept(board), ...more } }, null, 2)}\n`)
}

async function outcomeOf(node: string, file: string, env: NodeJS.ProcessEnv) {
  const began = performance.now()
  const there = /support\/process\.js|faults\/run\.js/.test(readFileSync(file, 'utf8')) ? 'agents' : 'all'
  const args = ['--import=./test/support/plain-children.mjs', file]
  const said = await new Promise<string>((resolve) =>
    execFile(
      there === 'all' ? node : process.execPath,
      args,
      { env, timeout: MOST_MS, maxBuffer: 2 ** 26 },
      (_, output, errors) => resolve(output + errors),
    ),
  )
  const count = (pattern: RegExp) => Number(pattern.exec(said)?.[1] ?? 0)
  const failed = [...said.matchAll(/^not ok \d+ - (.*?)(?: # time=.*)?$/gm)].map(([, name]) => name)
  const skipped = [...said.matchAll(/^ *ok \d+ - (.*?) # SKIP/gm)].map(([, name]) => name)
  const isWhole = /^# \{ total/m.test(said)
  const outcome: Outcome = {
    there,
    pass: count(/^# \{.*pass: (\d+)/m),
    fail: count(/^# \{.*fail: (\d+)/m) + (isWhole ? 0 : 1),
    seconds: Math.round((performance.now() - began) / 1000),
    failed: isWhole ? failed : [...failed, 'it did not come to its end'],
    skipped,
  }
  return { outcome, said }
}
