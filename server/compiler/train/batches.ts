import { elementCount } from '../graph/index.js'
import type { Samples } from './options.js'

/** Writes sample `index`, preprocessed and moved by (dx, dy) pixels or mirrored, at `offset` of `target`. */
export type Writer = (
  index: number,
  target: Float32Array,
  offset: number,
  move?: { dx: number; dy: number; mirror: boolean },
) => void

/** What enters at the border is the value that a zero becomes by the preprocessing: black, for images. */
export function sampleWriter(data: Samples): Writer {
  const size = elementCount(data.dims)
  const channels = data.dims.length > 1 ? data.dims[0] : 1
  const area = size / channels
  const { scale, mean, std } = data.preprocess ?? { scale: 1, mean: [0], std: [1] }
  const of = (list: readonly number[], c: number) => list[list.length === 1 ? 0 : c]
  const factors = Array.from({ length: channels }, (_, c) => scale / of(std, c))
  const offsets = Array.from({ length: channels }, (_, c) => -of(mean, c) / of(std, c))
  const { values } = data
  const width = data.dims[data.dims.length - 1]
  const height = area / width
  return (index, target, offset, move) => {
    const from = index * size
    for (let c = 0; c < channels; c++) {
      const a = factors[c]
      const b = offsets[c]
      const source = from + c * area
      const at = offset + c * area
      if (!move) {
        for (let i = 0; i < area; i++) target[at + i] = values[source + i] * a + b
        continue
      }
      for (let y = 0; y < height; y++) {
        const row = y - move.dy
        for (let x = 0; x < width; x++) {
          const seen = (move.mirror ? width - 1 - x : x) - move.dx
          const inside = row >= 0 && row < height && seen >= 0 && seen < width
          target[at + y * width + x] = (inside ? values[source + row * width + seen] * a : 0) + b
        }
      }
    }
  }
}

/** Random shifts and mirroring for one sample, or undefined where neither is asked for. */
export function randomMove(random: () => number, shift: number, flip: boolean) {
  if (shift === 0 && !flip) return undefined
  const by = () => Math.floor(random() * (2 * shift + 1)) - shift
  return { dx: by(), dy: by(), mirror: flip && random() < 0.5 }
}

/**
 * Another brightness and contrast of one sample, in place: (x − its mean) · (1 ± strength) + its mean ± strength deviations.
 */
export function recoloured(sample: Float32Array, strength: number, random: () => number): void {
  const mean = sample.reduce((a, b) => a + b, 0) / sample.length
  const deviation = Math.sqrt(sample.reduce((a, b) => a + (b - mean) ** 2, 0) / sample.length)
  const contrast = 1 + strength * (2 * random() - 1)
  const centre = mean + strength * deviation * (2 * random() - 1)
  for (let i = 0; i < sample.length; i++) sample[i] = (sample[i] - mean) * contrast + centre
}

/** Target distributions [batch, classes]: one-hot, softened by `smoothing`. */
export function writeTargets(
  target: Float32Array,
  labels: Int32Array,
  indices: ArrayLike<number>,
  classes: number,
  smoothing: number,
): void {
  target.fill(smoothing / classes)
  for (let i = 0; i < indices.length; i++) target[i * classes + labels[indices[i]]] += 1 - smoothing
}
