import { type Coupling, predictRam, type Shapes } from '../analysis/index.js'
import type { Node } from '../graph/index.js'
import { opFor } from '../ops/index.js'
import { artifactBytes, type Costs, costWithout, type Expectations } from './costs.js'
import { type Frame, frameOf } from './frame.js'

/** Prices of memory see softer maxima: what is close to the peak counts too, since it is the next peak. */
const SHARPNESS = 8

const floating = new Set(['float32', 'float64', 'float16', 'bfloat16'])

/** A value of the graph under thinning. */
interface Thinned {
  readonly dims: number[]
  /** Sizes before they are kept at one at least. */
  readonly raw: number[]
  elements: number
  bytesPerElement: number
  isParameter: boolean
  isConvolved: boolean
  alive?: readonly [born: number, dies: number]
}

/** What one group moves. */
interface Reach {
  readonly slopes: readonly (readonly [value: Thinned, axis: number, perUnit: number])[]
  readonly values: readonly Thinned[]
  readonly nodes: readonly number[]
}

/**
 * What a network costs however many units each group keeps, and with or without each block, brought up to date one of
 * them at a time: quick enough to ask for every candidate. The blocks stand behind the groups, and keep 1 or 0. Each dimension is taken to shrink by as much as one unit of each group was seen to shrink it;
 * where an index belongs to several groups at once that is approximate, and `costsWithout` has the last word.
 */
export class Estimator {
  readonly kept: number[]
  readonly #coupling: Coupling
  readonly #expect: Expectations
  readonly #values: ReadonlyMap<string, Thinned>
  readonly #reaches: readonly Reach[]
  readonly #live: Float64Array
  readonly #macsAt: Float64Array
  readonly #msAt: Float64Array
  readonly #ram: (predicted: number) => number
  readonly #full: Shapes['dims']
  readonly #frames = new Map<string, Frame>()
  #frame: Frame
  #macs = 0
  #ms = 0
  #params = 0
  #weightBytes = 0
  #convolutionBytes = 0

  constructor(coupling: Coupling, expect: Expectations = {}) {
    const { graph, groups, blocks } = coupling
    const full = coupling.dims([])
    this.#coupling = coupling
    this.#full = full
    this.#expect = expect
    this.kept = [...groups.map((g) => g.units.length), ...blocks.map(() => 1)]
    this.#values = valuesOf(full)
    this.#reaches = reachesOf(coupling, full, this.#values)
    this.#live = new Float64Array(graph.nodes.length)
    this.#macsAt = new Float64Array(graph.nodes.length)
    this.#msAt = new Float64Array(graph.nodes.length)
    this.#frame = this.#frameNow()
    this.#enter(this.#frame)
    this.#ram = this.#calibrated()
  }

  set(g: number, kept: number): void {
    const removed = this.kept[g] - kept
    if (removed === 0) return
    this.kept[g] = kept
    if (g >= this.#coupling.groups.length) {
      this.#enter(this.#frameNow())
      return
    }
    const { slopes, values, nodes } = this.#reaches[g]
    for (const [v, axis, perUnit] of slopes) {
      v.raw[axis] -= perUnit * removed
      v.dims[axis] = Math.max(1, v.raw[axis])
    }
    for (const v of values) {
      const elements = product(v.dims)
      this.#count(v, elements - v.elements)
      v.elements = elements
    }
    for (const i of nodes) this.#costNode(this.#coupling.graph.nodes[i], i)
  }

  /** Costs where the groups keep so many units. */
  at(kept: readonly number[]): Costs {
    kept.forEach((k, g) => {
      this.set(g, k)
    })
    return this.costs()
  }

  /** Costs as they are expected. */
  costs(): Costs {
    return this.#costsAt(hardMaximum(this.#live))
  }

  /** The same, but smooth in memory, for prices. */
  prices(): Costs {
    return this.#costsAt(softMaximum(this.#live), SHARPNESS)
  }

  #costsAt(peakElements: number, sharpness?: number): Costs {
    const { shapes } = this.#coupling
    const peakBytes = (4 * peakElements) / shapes.batch
    const cost = { macs: this.#macs / shapes.batch, params: this.#params, weightBytes: this.#weightBytes }
    const predictedRamBytes = this.#ram(this.#followed(peakBytes, sharpness))
    const footprint = { ...cost, peakActivationBytes: peakBytes, predictedRamBytes }
    return {
      memory: this.#expect.memory?.(footprint) ?? predictedRamBytes,
      artifact: artifactBytes(cost.weightBytes, this.#expect),
      macs: cost.macs,
      params: cost.params,
      latency: this.#ms + (this.#expect.latency?.queryMs ?? 0),
    }
  }

  #followed(peakBytes: number, sharpness?: number): number {
    const { description } = this.#frame
    const [weightBytes, convolutionBytes] = [this.#weightBytes, this.#convolutionBytes]
    return predictRam({ weightBytes, convolutionBytes, peakBytes, ...description }, sharpness)
  }

  /** What can be followed step by step, so that it agrees with the prediction of the network and of its floor. */
  #calibrated(): (predicted: number) => number {
    const { groups, blocks, shapes } = this.#coupling
    const followed = () => this.#followed((4 * hardMaximum(this.#live)) / shapes.batch)
    const most = { followed: followed(), predicted: costWithout(this.#coupling, []).predictedRamBytes }
    const kept = [...this.kept]
    kept.forEach((_, g) => {
      this.set(g, g < groups.length ? 1 : 0)
    })
    const gone = [...groups.flatMap((g) => g.units.slice(1)), ...blocks]
    const least = { followed: followed(), predicted: costWithout(this.#coupling, gone).predictedRamBytes }
    kept.forEach((k, g) => {
      this.set(g, k)
    })
    const slope =
      most.followed > least.followed
        ? (most.predicted - least.predicted) / (most.followed - least.followed)
        : 1
    return (x) => least.predicted + slope * (x - least.followed)
  }

  #frameNow(): Frame {
    const { groups, blocks } = this.#coupling
    const gone = blocks.filter((_, b) => this.kept[groups.length + b] === 0)
    const key = gone.map((b) => b.id).join()
    const known = this.#frames.get(key) ?? frameOf(this.#coupling.without(gone), this.#full)
    this.#frames.set(key, known)
    return known
  }

  /** Counts everything anew for other blocks. */
  #enter(frame: Frame): void {
    this.#frame = frame
    this.#macs = this.#ms = this.#params = this.#weightBytes = this.#convolutionBytes = 0
    for (const counted of [this.#live, this.#macsAt, this.#msAt]) counted.fill(0)
    for (const [name, v] of this.#values) {
      const t = frame.weights.get(name)
      v.bytesPerElement = t?.data.BYTES_PER_ELEMENT ?? 0
      v.isParameter = t !== undefined && floating.has(t.dtype)
      v.isConvolved = frame.convolved.has(name)
      v.alive = frame.alive.get(name)
      this.#count(v, v.elements)
    }
    this.#coupling.graph.nodes.forEach((n, i) => {
      this.#costNode(n, i)
    })
  }

  #count(v: Thinned, more: number): void {
    this.#weightBytes += more * v.bytesPerElement
    if (v.isConvolved) this.#convolutionBytes += more * v.bytesPerElement
    if (v.isParameter) this.#params += more
    if (v.alive) for (let i = v.alive[0]; i <= v.alive[1]; i++) this.#live[i] += more
  }

  #costNode(n: Node, i: number): void {
    if (!this.#frame.made.has(n.outputs[0])) return
    const dims = (name: string | undefined): readonly number[] =>
      (name ? this.#values.get(name) : undefined)?.dims ?? []
    const macs =
      opFor(n)?.macs({
        node: n,
        inputDims: (at) => dims(n.inputs[at]),
        outputDims: (at = 0) => dims(n.outputs[at]),
      }) ?? 0
    const ms = this.#expect.latency?.nodeMs(n, dims) ?? 0
    this.#macs += macs - this.#macsAt[i]
    this.#ms += ms - this.#msAt[i]
    this.#macsAt[i] = macs
    this.#msAt[i] = ms
  }
}

function valuesOf(full: Shapes['dims']): Map<string, Thinned> {
  return new Map(
    [...full].map(([name, dims]) => [
      name,
      {
        dims: [...dims],
        raw: [...dims],
        elements: product(dims),
        bytesPerElement: 0,
        isParameter: false,
        isConvolved: false,
      },
    ]),
  )
}

function reachesOf(
  coupling: Coupling,
  full: Shapes['dims'],
  values: ReadonlyMap<string, Thinned>,
): readonly Reach[] {
  const users = new Map<string, number[]>()
  coupling.graph.nodes.forEach((n, i) => {
    for (const name of new Set([...n.inputs, ...n.outputs])) users.set(name, [...(users.get(name) ?? []), i])
  })
  return coupling.groups.map(({ units }) => {
    const slopes: [Thinned, number, number][] = []
    const nodes = new Set<number>()
    for (const [name, dims] of coupling.dims(units.slice(0, 1))) {
      const was = full.get(name)
      const value = values.get(name)
      if (!was || !value) continue
      dims.forEach((d, axis) => {
        if (d === was[axis]) return
        slopes.push([value, axis, was[axis] - d])
        for (const i of users.get(name) ?? []) nodes.add(i)
      })
    }
    return { slopes, values: [...new Set(slopes.map(([v]) => v))], nodes: [...nodes] }
  })
}

const hardMaximum = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, b), 0)

function softMaximum(values: Float64Array): number {
  const most = hardMaximum(values)
  if (most === 0) return 0
  const sum = values.reduce((s, v) => s + (v / most) ** SHARPNESS, 0)
  return most * (sum / values.length) ** (1 / SHARPNESS)
}

const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)
