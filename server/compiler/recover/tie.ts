import type { Coupling } from '../analysis/index.js'
import { type Mixer, readingAxis, unknownsOf } from './mixer.js'

/**
 * Which of a mixer's inputs are the same channel seen at several taps: a kernel's, or the positions that Flatten put
 * side by side. `at[t · units + u]` is where the row of inputs holds channel `u` at tap `t`.
 */
export interface Tie {
  readonly taps: number
  readonly units: number
  readonly at: Int32Array
}

/** The ties of a mixer before and after indices of its input went; undefined where every input is a channel by itself. */
export function tieOf(
  coupling: Coupling,
  mixer: Mixer,
  kept: readonly number[],
): { before: Tie; now: Tie } | undefined {
  if (mixer.blocks !== 1 || !mixer.weight) return undefined
  const { taps, inputs } = mixer
  if (taps > 1) return { before: tiedKernel(inputs, taps), now: tiedKernel(kept.length, taps) }
  const columns = columnsByUnit(coupling, mixer)
  if (!columns) return undefined
  const now = new Map(kept.map((index, i) => [index, i]))
  const left = columns.map((c) => c.flatMap((index) => now.get(index) ?? [])).filter((c) => c.length > 0)
  if (left.length === 0 || left.some((c) => c.length !== columns[0].length)) return undefined
  return { before: tied(columns), now: tied(left) }
}

/** For each unit the columns that are its own; undefined unless one group's units share them out evenly. */
export function columnsByUnit(coupling: Coupling, mixer: Mixer): (readonly number[])[] | undefined {
  const axis = readingAxis(mixer)
  for (const { units, tensors } of coupling.groups) {
    if (!tensors.includes(mixer.weight ?? '')) continue
    const columns = units.flatMap((u) =>
      u.slices.filter((s) => s.tensor === mixer.weight && s.axis === axis).map((s) => s.indices),
    )
    const taps = columns[0]?.length ?? 0
    const own = new Set(columns.flat())
    const even = columns.length === units.length && columns.every((c) => c.length === taps)
    if (taps > 1 && even && own.size === units.length * taps && own.size === unknownsOf(mixer)) return columns
  }
  return undefined
}

/** A row of a convolution's window: channel by channel, in each the taps. */
export const tiedKernel = (units: number, taps: number): Tie => ({
  taps,
  units,
  at: Int32Array.from({ length: units * taps }, (_, i) => (i % units) * taps + Math.floor(i / units)),
})

/** Channels that have these columns, tap by tap. */
export function tied(columns: readonly (readonly number[])[]): Tie {
  const units = columns.length
  const taps = columns[0]?.length ?? 0
  return {
    taps,
    units,
    at: Int32Array.from({ length: units * taps }, (_, i) => columns[i % units][Math.floor(i / units)]),
  }
}
