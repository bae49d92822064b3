import { formatBytes } from '@espalier/shared'

/** What a budget of memory leaves of a network; all but the first are shares of the dense network. */
export interface FrontierPoint {
  /** Memory that is expected of it, as what was measured of the network corrects the prediction. */
  readonly memoryBytes: number
  readonly saliency: number
  readonly macs: number
  readonly params: number
}

/** How much more saliency each MB brings from one point to the next, as a share of all. */
export const gainOf = (before: FrontierPoint, after: FrontierPoint): number =>
  (after.saliency - before.saliency) / ((after.memoryBytes - before.memoryBytes) / 1e6)

/** Rows for a table: memory, shares, and how much more saliency each MB bought since the row before. */
export const frontierRows = (points: readonly FrontierPoint[]): string[][] =>
  points.map((p, i) => {
    const before = points[i - 1]
    const percent = (v: number) => `${(100 * v).toFixed(1)} %`
    return [
      formatBytes(p.memoryBytes),
      percent(p.saliency),
      percent(p.macs),
      percent(p.params),
      before ? percent(gainOf(before, p)) : '–',
    ]
  })
