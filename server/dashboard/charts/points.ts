import type { Compilation, Report, Variant } from '../../http/schemas/index.js'

/** A point of the accuracy–latency–memory plot: what was measured of one variant at one place. */
export interface Point {
  readonly key: string
  readonly label: string
  readonly variant: Variant | null
  /** The device, or null where the variant was compiled. */
  readonly device: string | null
  readonly latencyMs: number
  readonly top1: number
  readonly memoryBytes: number | null
}

/** The newest compilation's dense reference, the accuracy that the variants are held against. */
export const denseOf = (compilations: readonly Compilation[]) =>
  compilations.find((c) => c.state === 'done' && c.dense !== null)?.dense ?? null

/** Everything of which both latency and accuracy are known, the compile host's measurements first. */
export function plotPoints(
  variants: readonly Variant[],
  reports: readonly Report[],
  dense: Compilation['dense'],
): Point[] {
  const points: Point[] = []
  const add = (point: Omit<Point, 'latencyMs' | 'top1'>, latencyMs: number | null, top1: number | null) => {
    if (latencyMs !== null && top1 !== null) points.push({ ...point, latencyMs, top1 })
  }
  if (dense !== null) {
    const memoryBytes = dense.measuredRamBytes
    add({ key: 'dense', label: 'dense', variant: null, device: null, memoryBytes }, dense.p50Ms, dense.top1)
  }
  for (const variant of variants) {
    const memoryBytes = variant.measuredRamBytes ?? variant.predictedRamBytes
    const host = { key: variant.id, label: variant.name, variant, device: null, memoryBytes }
    add(host, variant.p50Ms, variant.top1)
  }
  const byDigest = new Map(variants.map((v) => [v.digest, v]))
  for (const { device, variant: digest, p50Ms, measuredRamBytes, top1 } of reports) {
    const variant = byDigest.get(digest) ?? null
    if (variant === null) continue
    const key = `${variant.id} ${device}`
    const point = { key, label: variant.name, variant, device, memoryBytes: measuredRamBytes }
    add(point, p50Ms, top1 ?? variant.top1)
  }
  return points
}
