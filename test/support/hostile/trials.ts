import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Bounds, watch } from '@espalier/server/child/index.js'
import type { EspalierError } from '@espalier/shared'
import type { Fate, FromWorker } from './worker.js'

export interface Trial extends Fate {
  readonly base: string
  readonly kind: string
}

/** How many mutants one process meets before a fresh one takes over. */
const PER_PROCESS = 500

/**
 * Puts mutants through the compiler in a process that is watched as a user's command is, and started anew when it ends.
 * A process that ends by itself is the fate CRASHED, with the signal.
 */
export async function* trials(seeds: Iterable<number>, script: URL, bounds: Bounds): AsyncGenerator<Trial> {
  let worker: ChildProcess | undefined
  let met = 0
  try {
    for (const seed of seeds) {
      if (worker && met >= PER_PROCESS) worker = await ended(worker)
      if (!worker) {
        worker = fork(script, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
        met = 0
      }
      met++
      const { trial, alive } = await one(worker, seed, bounds)
      if (!alive) worker = undefined
      yield trial
    }
  } finally {
    if (worker) await ended(worker)
  }
}

async function ended(worker: ChildProcess): Promise<undefined> {
  worker.disconnect()
  await once(worker, 'exit')
}

function one(worker: ChildProcess, seed: number, bounds: Bounds): Promise<{ trial: Trial; alive: boolean }> {
  return new Promise((resolve) => {
    const start = performance.now()
    let known = { base: '', kind: '' }
    let verdict: EspalierError | undefined
    const unwatch = watch(worker, bounds, (reason) => {
      verdict ??= reason
    })
    const end = (fate: Fate, alive: boolean) => {
      unwatch()
      worker.off('message', hear).off('exit', gone)
      resolve({ trial: { ...known, ...fate }, alive })
    }
    const hear = (message: FromWorker) => {
      if ('seed' in message) end(message, true)
      else known = message
    }
    const gone = (status: number | null, signal: string | null) => {
      const { code, message } = verdict ?? { code: 'CRASHED', message: signal ?? `status ${status}` }
      end({ seed, code, message, ms: performance.now() - start, residentBytes: 0 }, false)
    }
    worker.on('message', hear).on('exit', gone)
    worker.send(seed)
  })
}
