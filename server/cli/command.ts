import { EspalierError, parseBytes } from '@espalier/shared'
import type { Command } from 'commander'
import { Output } from './output.js'

/**
 * What a command's file exports as `command`: it adds arguments, options and an action to the bare command of
 * its name. `main.ts` adds `--json` to every command that has an action.
 */
export type Define = (command: Command) => void

/** Where this run of a command writes. */
export const outputOf = ({ json = false, quiet }: { json?: boolean; quiet?: boolean }): Output =>
  new Output(json, process.stdout, process.stderr, quiet)

/** Option parsers: `command.option('--memory <size>', '…', size)`. A bad value ends the program with status 2. */
export const size = (text: string): number => parseBytes(text)

export function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw invalid(text, 'a whole number, for example 3')
  return value
}

/** How many threads the runtime has. */
export function threads(text: string): number {
  const value = count(text)
  if (value >= 1 && value <= 1024) return value
  throw invalid(text, 'a number of threads from 1 to 1024')
}

/** A share from 0 to 1. */
export function share(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw invalid(text, 'a share from 0 to 1, for example 0.5')
  return value
}

export function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw invalid(text, 'a number above 0')
  return value
}

/** Makes an option repeatable: `.option('--memory <size>', '…', many(size))` gathers an array. */
export const many =
  <T>(parse: (text: string) => T) =>
  (text: string, before: T[] | undefined): T[] => [...(before ?? []), parse(text)]

/** An option that is one of some words: `oneOf('a schedule', ['step', 'cosine'])`. */
export const oneOf =
  <T extends string>(what: string, words: readonly T[]) =>
  (text: string): T => {
    const found = words.find((w) => w === text)
    if (found) return found
    throw new EspalierError('OPTION_INVALID', `'${text}' is not ${what}: ${words.join(', ')}`)
  }

const invalid = (text: string, wanted: string) =>
  new EspalierError('OPTION_INVALID', `'${text}' is not ${wanted}`)

/**
 * A signal that the first Ctrl-C or SIGTERM aborts, so that the command can end cleanly and say how to resume;
 * a second Ctrl-C ends the process at once.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new EspalierError('INTERRUPTED', 'interrupted'))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return controller.signal
}
