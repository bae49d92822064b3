import { EspalierError, formatBytes } from '@espalier/shared'
import { type Coupling, type Footprint, footprintOf, type Shapes, type Unit } from '../analysis/index.js'
import type { Node } from '../graph/index.js'
import type { Resource } from '../limits.js'

export type Costs = Readonly<Record<Resource, number>>

/** Hard limits, each absolute; those not given are none. */
export interface Limits {
  /** Memory in bytes, as the product's terms define it. */
  readonly memoryBytes?: number
  /** Bytes that travel to a device. */
  readonly artifactBytes?: number
  /** Multiply–accumulates for one sample. */
  readonly macs?: number
  readonly params?: number
  /** Time of one query on the machine of the profile that expects it. */
  readonly latencyMs?: number
}

/** How long a network takes, as the sum over its nodes and something for each query. */
export interface LatencyModel {
  readonly queryMs: number
  nodeMs(node: Node, dims: (name: string | undefined) => readonly number[]): number
}

/** How costs that are not counted are expected. */
export interface Expectations {
  /** Memory of a footprint; its own prediction if not given. Larger footprints need no less. */
  readonly memory?: (f: Footprint) => number
  /** Bytes of the artifact beside its weights: names, shapes, attributes. 0 if not given. */
  readonly artifactOverhead?: number
  /** Without it a network takes no time, and a limit on latency means nothing. */
  readonly latency?: LatencyModel
}

/** Bytes of an artifact: today the ONNX file, so its weights and what stays the same however much is removed. */
export const artifactBytes = (weightBytes: number, { artifactOverhead = 0 }: Expectations): number =>
  weightBytes + artifactOverhead

export interface Costed {
  readonly footprint: Footprint
  readonly costs: Costs
}

/** The exact footprint of a coupled network without these units. */
export const costWithout = (coupling: Coupling, removed: Iterable<Unit>): Footprint =>
  costsWithout(coupling, removed).footprint

/** The exact costs of a coupled network without these units, as far as they are counted and not expected. */
export function costsWithout(coupling: Coupling, removed: Iterable<Unit>, expect: Expectations = {}): Costed {
  const graph = coupling.without(removed)
  const dims: Shapes['dims'] = coupling.dims(removed)
  const footprint = footprintOf(graph, dims, coupling.shapes)
  const of = (name: string | undefined) => (name ? dims.get(name) : undefined) ?? []
  const { latency } = expect
  return {
    footprint,
    costs: {
      memory: expect.memory?.(footprint) ?? footprint.predictedRamBytes,
      artifact: artifactBytes(footprint.weightBytes, expect),
      macs: footprint.macs,
      params: footprint.params,
      latency: latency ? graph.nodes.reduce((ms, n) => ms + latency.nodeMs(n, of), latency.queryMs) : 0,
    },
  }
}

/** Limits by what they are about. */
export type Bounds = readonly (readonly [Resource, number])[]

export const boundsOf = (limits: Limits): Bounds =>
  (
    [
      ['memory', limits.memoryBytes],
      ['artifact', limits.artifactBytes],
      ['macs', limits.macs],
      ['params', limits.params],
      ['latency', limits.latencyMs],
    ] as const
  ).flatMap(([resource, limit]) => (limit === undefined ? [] : [[resource, limit] as const]))

const whole = (v: number) => Math.ceil(v).toLocaleString('en')
const ms = (v: number) => `${v.toPrecision(3)} ms`

const shown: Readonly<Record<Resource, { name: (v: number) => string; value: (v: number) => string }>> = {
  memory: { name: (v) => `memory budget ${formatBytes(v)}`, value: formatBytes },
  artifact: { name: (v) => `artifact budget ${formatBytes(v)}`, value: formatBytes },
  macs: { name: (v) => `budget of ${Math.round(v).toLocaleString('en')} MACs`, value: whole },
  params: { name: (v) => `budget of ${Math.round(v).toLocaleString('en')} parameters`, value: whole },
  latency: { name: (v) => `latency budget ${ms(v)}`, value: ms },
}

export class BudgetUnreachable extends EspalierError {
  constructor(
    readonly resource: Resource,
    readonly asked: number,
    readonly least: number,
  ) {
    const { name, value } = shown[resource]
    super(
      'BUDGET_UNREACHABLE',
      `the ${name(asked)} is below ${value(least)}, the least that this network can be brought to by removing units; ` +
        'raise it, or see what cannot go: espalier inspect MODEL',
    )
  }
}

/** @throws BUDGET_UNREACHABLE where the least that a network can be brought to exceeds a limit */
export function requireReachable(limits: Limits, least: Costs): void {
  for (const [resource, limit] of boundsOf(limits))
    if (least[resource] > limit) throw new BudgetUnreachable(resource, limit, least[resource])
}
