import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'

const program = 'server/dist/cli/main.js'
const sample = 'deploy/sample/digits.onnx'

interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string }>
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const texts = { stdout: '', stderr: '' }
  child.stdout.on('data', (text) => {
    texts.stdout += text
  })
  child.stderr.on('data', (text) => {
    texts.stderr += text
  })
  const ended = once(child, 'close').then(([status, signal]) => ({ status, signal, ...texts }))
  return { process: child, ended }
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

/** The process that opens the model, once it measures. */
async function measuring({ process: { pid } }: Running): Promise<number> {
  for (;;) {
    const [child] = pid === undefined ? [] : childrenOf(pid)
    if (child !== undefined && childrenOf(child).length > 0) return child
    await pause(20)
  }
}

const gone = async (pid: number) => {
  for (let k = 0; k < 100; k++) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await pause(50)
  }
  return false
}

t.test('a command ends at its limit of memory or time, in one line with a code', async (t) => {
  const cases = [
    [['--memory-limit', '60MB'], 'MEMORY_LIMIT', /memory limit of 60.*--memory-limit/],
    [['--time-limit', '0.01'], 'TIME_LIMIT', /0\.01 s.*--time-limit/],
  ] as const
  for (const [options, code, message] of cases) {
    const { status, stdout, stderr } = await start('inspect', sample, '--json', ...options).ended
    t.equal(status, 1)
    t.match(JSON.parse(stdout), { error: { code, message } })
    t.match(stderr, new RegExp(`^espalier: .*\\(${code}\\)\n$`))
  }
})

t.test('a limit that cannot be is wrong usage', async (t) => {
  t.match(await start('inspect', sample, '--memory-limit', 'much').ended, {
    status: 2,
    stderr: /SIZE_INVALID/,
  })
  t.match(await start('inspect', sample, '--time-limit', '1e9').ended, {
    status: 2,
    stderr: /OPTION_INVALID/,
  })
})

t.test('a crash below the command is a line with a code, not a stack', async (t) => {
  const running = start('bench', sample, '--seconds', '30', '--json')
  process.kill(await measuring(running), 'SIGSEGV')
  const { status, stdout, stderr } = await running.ended
  t.equal(status, 1)
  t.match(JSON.parse(stdout), { error: { code: 'WORKER_CRASHED', message: /SIGSEGV/ } })
  t.equal(
    stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('espalier: ')).length,
    1,
  )
  t.notMatch(stderr, /^\s+at /m)
})

t.test('Ctrl-C reaches the command', async (t) => {
  const running = start('bench', sample, '--seconds', '30')
  await measuring(running)
  running.process.kill('SIGINT')
  t.match(await running.ended, { status: 1, stderr: /INTERRUPTED/ })
  const early = start('inspect', sample)
  while (childrenOf(early.process.pid ?? 0).length === 0) await pause(5)
  early.process.kill('SIGTERM')
  t.match(await early.ended, { status: null, signal: 'SIGTERM' }, 'what a command does not catch ends both')
})

t.test('whoever is killed takes everything along', async (t) => {
  const running = start('bench', sample, '--seconds', '30')
  const child = await measuring(running)
  const below = childrenOf(child)
  running.process.kill('SIGKILL')
  for (const pid of [child, ...below]) t.ok(await gone(pid), `process ${pid} is gone`)
})
