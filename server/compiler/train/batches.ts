import type { Move } from '../data/index.js'

/** Random shifts and mirroring for one sample, or undefined where neither is asked for. */
export function randomMove(random: () => number, shift: number, flip: boolean): Move | undefined {
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
