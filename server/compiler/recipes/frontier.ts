import type { Coupling, Footprint } from '../analysis/index.js'
import { type AllocateOptions, allocate, costWithout, floor } from '../budget/index.js'
import type { FrontierPoint } from '../frontier.js'
import { DEFAULTS } from './run.js'

const POINTS = 10

/**
 * What each budget between the floor and the dense network would buy, by expectation: least first, none twice.
 * @param memory of a footprint, as it is expected
 */
export function frontierOf(
  coupling: Coupling,
  scores: readonly Float64Array[],
  memory: (f: Footprint) => number,
  { round = DEFAULTS.round, depth }: Pick<AllocateOptions, 'round' | 'depth'>,
): FrontierPoint[] {
  const dense = costWithout(coupling, [])
  const [least, most] = [memory(floor(coupling).footprint), memory(dense)]
  const found: FrontierPoint[] = []
  for (let i = 0; i < POINTS; i++) {
    const memoryBytes = least + ((most - least) * i) / (POINTS - 1)
    const { footprint, saliency } = allocate(
      coupling,
      scores,
      { memoryBytes },
      { round, depth, expect: { memory }, orFloor: true },
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
