import { type ChildProcess, fork } from 'node:child_process'
import { totalmem } from 'node:os'
import { EspalierError } from '@espalier/shared/errors.js'
import { type Bounds, killGroup, watch } from '../child/index.js'
import { fail, Output } from './output.js'

/** What a terminal or a service manager sends to this process is meant for the command. */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH', 'SIGCONT'] as const

/**
 * Runs the command line in a process of its own, which writes to the same terminal, within the limits that it tells
 * before it opens a model. Whatever a model does to it or to the runtime, one line says so and the status is 1.
 * @returns the exit status
 */
export async function supervise(args: readonly string[]): Promise<number> {
  const child = fork(new URL('./guarded.js', import.meta.url), args, {
    // The watch ends a heap that grows too far, without V8's report.
    execArgv: [`--max-old-space-size=${Math.ceil(totalmem() / 2 ** 20)}`, ...process.execArgv],
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true, // its own process group, so that what it starts ends with it
  })
  let verdict: EspalierError | undefined
  let unwatch = () => {}
  child.on('message', (bounds: Bounds) => {
    unwatch = watch(child, bounds, (reason) => {
      verdict ??= reason
    })
  })
  const sent = passSignals(child)
  const { status, signal } = await ending(child)
  unwatch()
  killGroup(child)
  if (status !== null) return status
  if (!verdict && signal && sent.has(signal)) return endBy(signal)
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K') // a progress bar that was cut off
  return fail(explained(verdict, signal), new Output(args.includes('--json')))
}

/** @returns the signals that were passed on so far */
function passSignals(child: ChildProcess): ReadonlySet<string> {
  const sent = new Set<string>()
  for (const signal of passedOn) {
    process.on(signal, () => {
      sent.add(signal)
      child.kill(signal)
    })
  }
  process.on('SIGTSTP', () => {
    child.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  })
  return sent
}

const ending = (child: ChildProcess) =>
  new Promise<{ status: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', (cause) =>
      reject(new EspalierError('WORKER_CRASHED', `the command could not be started: ${cause.message}`)),
    )
    child.on('exit', (status, signal) => resolve({ status, signal }))
  })

/** Ends as the command did, as a shell expects of a program that does not catch a signal. */
function endBy(signal: string): number {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  return 1
}

function explained(verdict: EspalierError | undefined, signal: string | null): EspalierError {
  if (!verdict) {
    return new EspalierError(
      'WORKER_CRASHED',
      `the command was ended by ${signal}: the model crashed the runtime, or the system ran out of memory`,
    )
  }
  const option = verdict.code === 'TIME_LIMIT' ? '--time-limit' : '--memory-limit'
  return new EspalierError(verdict.code, `${verdict.message}; ${option} raises it`)
}
