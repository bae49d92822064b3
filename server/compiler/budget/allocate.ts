import { EspalierError, formatBytes } from '@espalier/shared'
import type { Coupling, Footprint, Unit } from '../analysis/index.js'
import { costWithout, type Resource } from './estimate.js'
import type { Thinning } from './thinning.js'

/** Hard limits, each absolute; those not given are none. */
export interface Limits {
  /** Memory in bytes, as the product's terms define it. */
  readonly memoryBytes?: number
  /** Multiply–accumulates for one sample. */
  readonly macs?: number
  readonly params?: number
}

export interface Allocation {
  readonly removed: ReadonlySet<Unit>
  /** How many steps of the thinning were taken. */
  readonly steps: number
  readonly footprint: Footprint
}

/** The network after the first `steps` of a thinning. */
export function after(coupling: Coupling, thinning: Thinning, steps: number): Allocation {
  const removed = new Set(thinning.slice(0, steps).flat())
  return { removed, steps, footprint: costWithout(coupling, removed) }
}

/**
 * The fewest steps of a thinning after which every limit holds, found by bisection with exact costs.
 * @param ram memory to expect of a footprint; its own prediction if not given
 * @throws BUDGET_UNREACHABLE with the least that this network can be brought to.
 */
export function allocate(
  coupling: Coupling,
  thinning: Thinning,
  limits: Limits,
  ram: (f: Footprint) => number = (f) => f.predictedRamBytes,
): Allocation {
  const holds = (f: Footprint) => exceeded(f, limits, ram) === undefined
  const floor = after(coupling, thinning, thinning.length)
  const broken = exceeded(floor.footprint, limits, ram)
  if (broken) throw new BudgetUnreachable(...broken)
  let enough = thinning.length
  for (let low = 0; low < enough; ) {
    const middle = (low + enough) >> 1
    if (holds(after(coupling, thinning, middle).footprint)) enough = middle
    else low = middle + 1
  }
  return after(coupling, thinning, enough)
}

/** The first limit that a footprint exceeds: what it is about, what was asked, what it would be. */
function exceeded(
  f: Footprint,
  { memoryBytes, macs, params }: Limits,
  ram: (f: Footprint) => number,
): [Resource, number, number] | undefined {
  if (memoryBytes !== undefined && ram(f) > memoryBytes) return ['memory', memoryBytes, ram(f)]
  if (macs !== undefined && f.macs > macs) return ['macs', macs, f.macs]
  if (params !== undefined && f.params > params) return ['params', params, f.params]
}

const shown: Readonly<Record<Resource, (value: number) => string>> = {
  memory: (v) => `memory budget ${formatBytes(v)}`,
  macs: (v) => `budget of ${Math.round(v).toLocaleString('en')} MACs`,
  params: (v) => `budget of ${Math.round(v).toLocaleString('en')} parameters`,
}

export class BudgetUnreachable extends EspalierError {
  constructor(
    resource: Resource,
    readonly asked: number,
    readonly least: number,
  ) {
    const floor = resource === 'memory' ? formatBytes(least) : Math.ceil(least).toLocaleString('en')
    super(
      'BUDGET_UNREACHABLE',
      `the ${shown[resource](asked)} is below ${floor}, the least that this network can be brought to by removing units; ` +
        'raise it, or see what cannot go: espalier inspect MODEL',
    )
  }
}
