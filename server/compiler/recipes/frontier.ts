import { formatBytes } from '@espalier/shared'
import { allocate, costWithout, floor } from '../budget/index.js'
import { corrected } from './meet-memory.js'
import { DEFAULTS, type Run } from './run.js'

/** What a budget of memory leaves of a network; all but the first are shares of the dense network. */
export interface FrontierPoint {
  /** Memory that is expected of it, as what was measured of the network corrects the prediction. */
  readonly memoryBytes: number
  readonly saliency: number
  readonly macs: number
  readonly params: number
}

const POINTS = 10

/** What each budget between the floor and the dense network would buy, by expectation: least first, none twice. */
export function frontierOf({ subject: { coupling }, scores, points, options }: Run): FrontierPoint[] {
  const memory = corrected(points)
  const dense = costWithout(coupling, [])
  const [least, most] = [memory(floor(coupling).footprint), memory(dense)]
  const found: FrontierPoint[] = []
  for (let i = 0; i < POINTS; i++) {
    const memoryBytes = least + ((most - least) * i) / (POINTS - 1)
    const { footprint, saliency } = allocate(
      coupling,
      scores,
      { memoryBytes },
      { round: options.round ?? DEFAULTS.round, depth: options.depth, expect: { memory }, orFloor: true },
    )
    const point = {
      memoryBytes: Math.round(memory(footprint)),
      saliency,
      macs: footprint.macs / dense.macs,
      params: footprint.params / dense.params,
    }
    if (point.memoryBytes > (found.at(-1)?.memoryBytes ?? 0)) found.push(point)
  }
  return found
}

/** Rows for a table: memory, shares, and how much more saliency each MB bought since the row before. */
export const frontierRows = (points: readonly FrontierPoint[]): string[][] =>
  points.map((p, i) => {
    const before = points[i - 1]
    const gained =
      before && (100 * (p.saliency - before.saliency)) / ((p.memoryBytes - before.memoryBytes) / 1e6)
    const percent = (v: number) => `${(100 * v).toFixed(1)} %`
    return [
      formatBytes(p.memoryBytes),
      percent(p.saliency),
      percent(p.macs),
      percent(p.params),
      gained === undefined ? '–' : `${gained.toFixed(1)} %`,
    ]
  })
