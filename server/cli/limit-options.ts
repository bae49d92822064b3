import { statSync } from 'node:fs'
import { totalmem } from 'node:os'
import { EspalierError } from '@espalier/shared'
import type { Command } from 'commander'
import type { Bounds } from '../child/index.js'
import { positive, size } from './command.js'

/** What the options of `addLimitOptions` give. */
export interface LimitOptions {
  readonly memoryLimit?: number
  readonly timeLimit: number
}

/** Memory for any model, and for a large one by the length of its file. */
const LEAST_MEMORY = 4 * 2 ** 30
const MEMORY_PER_FILE_BYTE = 16
/** Of the machine's memory, so that the command is ended before the machine swaps. */
const MOST_OF_MACHINE = 0.9
/** What a timer can count, in seconds. */
const LONGEST = 2_147_483

/** Adds the limits that hold for a command, and for everything it starts, once it opens its model. */
export const addLimitOptions = (command: Command, seconds: number): Command =>
  command
    .option(
      '--memory-limit <size>',
      'end if it takes more memory (default: 4 GiB, 16 times a larger model, at most 9 tenths of the machine)',
      size,
    )
    .option('--time-limit <seconds>', 'end if it takes longer', duration, seconds)

/** The limits given, or those that go with the model, if there is one. */
export const boundsOf = (model: string | undefined, { memoryLimit, timeLimit }: LimitOptions): Bounds => ({
  memoryBytes: memoryLimit ?? memoryFor(model),
  timeMs: timeLimit * 1000,
})

function memoryFor(model: string | undefined): number {
  const file = (model && statSync(model, { throwIfNoEntry: false })?.size) || 0
  const machine = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  return Math.min(Math.max(LEAST_MEMORY, MEMORY_PER_FILE_BYTE * file), MOST_OF_MACHINE * machine)
}

function duration(text: string): number {
  const seconds = positive(text)
  if (seconds <= LONGEST) return seconds
  throw new EspalierError('OPTION_INVALID', `'${text}' s is more than can be timed; at most ${LONGEST}`)
}
