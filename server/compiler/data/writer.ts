import { type Field, sampleSize } from './dataset.js'
import type { Held } from './elements.js'

/** Moves an image by (dx, dy) pixels, and mirrors it left to right. */
export interface Move {
  readonly dx: number
  readonly dy: number
  readonly mirror: boolean
}

/** Writes the sample that begins at `from` of `values`, preprocessed and moved, at `offset` of `target`. */
export type Writer = (values: Held, from: number, target: Float32Array, offset: number, move?: Move) => void

/**
 * How samples become floats: `y = (x · scale − mean) / std` by channel. What enters at the border is the value that a zero
 * becomes: black, for images.
 */
export function writerOf(field: Pick<Field, 'dims' | 'channels' | 'preprocess'>): Writer {
  const { dims } = field
  const size = sampleSize(field)
  const last = field.channels === 'last'
  const channels = dims.length > 1 ? (last ? dims[dims.length - 1] : dims[0]) : 1
  const area = size / channels
  const { scale, mean, std } = field.preprocess ?? { scale: 1, mean: [0], std: [1] }
  const of = (list: readonly number[], c: number) => list[list.length === 1 ? 0 : c]
  const factors = Array.from({ length: channels }, (_, c) => scale / of(std, c))
  const offsets = Array.from({ length: channels }, (_, c) => -of(mean, c) / of(std, c))
  const width = last ? dims[dims.length - 2] : dims[dims.length - 1]
  const height = area / width
  // Elements from one to the next pixel and channel.
  const [pixel, channel] = last ? [channels, 1] : [1, area]
  return (values, from, target, offset, move) => {
    for (let c = 0; c < channels; c++) {
      const a = factors[c]
      const b = offsets[c]
      const source = from + c * channel
      const at = offset + c * channel
      if (!move) {
        for (let i = 0; i < area; i++) target[at + i * pixel] = values[source + i * pixel] * a + b
        continue
      }
      for (let y = 0; y < height; y++) {
        const row = y - move.dy
        for (let x = 0; x < width; x++) {
          const seen = (move.mirror ? width - 1 - x : x) - move.dx
          const inside = row >= 0 && row < height && seen >= 0 && seen < width
          const value = inside ? values[source + (row * width + seen) * pixel] * a : 0
          target[at + (y * width + x) * pixel] = value + b
        }
      }
    }
  }
}
