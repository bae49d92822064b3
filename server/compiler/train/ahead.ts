import { Worker } from 'node:worker_threads'
import { asEspalierError, type ErrorCode, EspalierError } from '@espalier/shared'
import type { Fed } from '../data/index.js'
import { type Drawn, Feeder, type Plan } from './feeder.js'
import type { Samples, TrainOptions } from './options.js'

/** What a step is fed. */
export interface Batch extends Drawn {
  readonly fed: ReadonlyMap<string, Fed>
}

/** The batches of a run, one step's after the other's. */
export interface Batches {
  /** Good until the next is asked for. @throws what reading throws */
  next(): Promise<Batch>
  close(): Promise<void>
}

/** Steps `first` to `last` (exclusive). */
export interface Steps {
  readonly first: number
  readonly last: number
}

/** Batches made when they are asked for. */
export function batchesNow(data: Samples, options: TrainOptions, plan: Plan, { first }: Steps): Batches {
  const feeder = new Feeder(data, options, plan)
  let step = first
  return {
    next: async () => ({ ...(await feeder.write(step++)), fed: feeder.fed }),
    close: async () => {},
  }
}

/** Batches that wait at most, beside the one in use. */
const DEPTH = 2

/** What the thread is started with, and what it says. */
export interface Job extends Steps {
  readonly data: Samples
  readonly options: Omit<TrainOptions, 'teacher' | 'stopping'>
  readonly plan: Plan
  readonly depth: number
}
export type Said = Batch | { readonly error: { readonly code: ErrorCode; readonly message: string } }

/**
 * The same batches, read, decoded and augmented in a thread of its own while the runtime computes, which blocks this one. At
 * most three are in memory.
 */
export function batchesAhead(data: Samples, options: TrainOptions, plan: Plan, steps: Steps): Batches {
  const { teacher: _, stopping: __, ...rest } = options
  const job: Job = { ...steps, data, options: rest, plan, depth: DEPTH }
  const thread = new Worker(new URL('./ahead-thread.js', import.meta.url), { workerData: job })
  const ready: Batch[] = []
  let failure: EspalierError | undefined
  let wake = () => {}
  const fail = (error: EspalierError) => {
    failure ??= error
    wake()
  }
  thread.on('message', (said: Said) => {
    if ('error' in said) return fail(new EspalierError(said.error.code, said.error.message))
    ready.push(said)
    wake()
  })
  thread.on('error', (thrown) => fail(asEspalierError(thrown)))
  thread.on('exit', (code) =>
    fail(new EspalierError('WORKER_CRASHED', `the thread that reads data ended with status ${code}`)),
  )
  return {
    async next() {
      while (ready.length === 0) {
        if (failure) throw failure
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      thread.postMessage('one more')
      return ready.shift()!
    },
    async close() {
      thread.removeAllListeners('exit')
      await thread.terminate()
    },
  }
}
