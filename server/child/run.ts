import { type ChildProcess, fork } from 'node:child_process'
import { type ErrorCode, EspalierError, errorCodes } from '@espalier/shared/errors.js'
import type { FromChild, ToChild } from './messages.js'
import { type Bounds, killGroup, memoryLimit, watch } from './watch.js'

export interface Limits extends Bounds {
  /** Aborted: the child is asked to stop, and killed two seconds later. */
  readonly signal?: AbortSignal
}

const graceMs = 2_000

/**
 * Runs `module` (which calls `serve`) in a process of its own with `input`, and returns its result.
 * @throws what the child threw; CANCELLED, TIME_LIMIT, MEMORY_LIMIT when stopped, WORKER_CRASHED when it ended by itself.
 */
export async function runChild(
  module: URL,
  input: unknown,
  { timeMs, memoryBytes, signal }: Limits,
  on: (news: unknown) => void = () => {},
): Promise<unknown> {
  if (signal?.aborted) throw cancelled()
  const child = fork(module, {
    execArgv: [`--max-old-space-size=${Math.ceil(memoryBytes / 2 ** 20)}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    detached: true, // its own process group, so that what it starts ends with it
  })
  let verdict: EspalierError | undefined
  let grace: NodeJS.Timeout | undefined
  const unwatch = watch(child, { timeMs, memoryBytes }, (reason) => {
    verdict ??= reason
  })
  const cancel = () => {
    verdict ??= cancelled()
    if (child.connected) child.send({ type: 'cancel' } satisfies ToChild, () => {})
    grace = setTimeout(() => killGroup(child), graceMs)
  }
  signal?.addEventListener('abort', cancel)
  try {
    const { last, stderr } = await conversation(child, input, on)
    if (verdict) throw verdict
    if (last?.type === 'result') return last.result
    if (last?.type === 'error') throw new EspalierError(knownCode(last.code), last.message)
    if (stderr.includes('heap out of memory')) throw memoryLimit(memoryBytes)
    throw new EspalierError(
      'WORKER_CRASHED',
      `the worker ended without an answer (${ending(child)}); ${lastLine(stderr)}`,
    )
  } finally {
    unwatch()
    clearTimeout(grace)
    signal?.removeEventListener('abort', cancel)
    killGroup(child)
  }
}

/** Everything the child says until its process is gone. */
function conversation(child: ChildProcess, input: unknown, on: (news: unknown) => void) {
  return new Promise<{ last?: FromChild; stderr: string }>((resolve, reject) => {
    let last: FromChild | undefined
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-8_192)
    })
    child.on('message', (message: FromChild) => {
      if (message.type === 'news') on(message.news)
      else last = message
    })
    child.on('error', (cause) =>
      reject(
        new EspalierError('WORKER_CRASHED', `the worker could not be started: ${cause.message}`, { cause }),
      ),
    )
    child.on('close', () => resolve({ last, stderr }))
    child.send({ type: 'start', input } satisfies ToChild, () => {}) // a child that is already gone closes
  })
}

const cancelled = () => new EspalierError('CANCELLED', 'cancelled')

const knownCode = (code: string): ErrorCode => errorCodes.find((c) => c === code) ?? 'INTERNAL'
const ending = (child: ChildProcess) =>
  child.signalCode ? `signal ${child.signalCode}` : `exit status ${child.exitCode}`
const lastLine = (text: string) => {
  const lines = text.trim().split('\n')
  return lines.find((l) => /error/i.test(l))?.trim() || lines.at(-1) || 'it said nothing'
}
