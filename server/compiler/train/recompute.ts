import { elementCount, type Node, reads, type Value, withAttributes } from '../graph/index.js'
import type { Builder } from '../ops/index.js'
import type { Sizes } from './shapes.js'

/** A step's nodes. */
export interface Nodes {
  readonly forward: readonly Node[]
  readonly backward: readonly Node[]
  /** The place among the forward nodes of that which each backward node carries gradients through. */
  readonly places: readonly number[]
}

export interface Recompute {
  /** Into how many parts the way forward is cut; of all but the last the values are computed again. */
  readonly segments: number
  /** Weights and constants. */
  readonly fixed: ReadonlySet<string>
  /** Outputs of the graph, which stay in memory anyway. */
  readonly outputs: ReadonlySet<string>
}

/** Values of less than this share of the largest are kept: statistics, sizes. */
const SMALL = 1 / 256

/**
 * Gradient checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): what a segment of the forward
 * pass computed is let go, but for what later segments read, and computed once more when gradients arrive at it. What is kept enters
 * the second time through a dimension of one, put at nought times a gradient and taken away again: else the runtime would take the two for one,
 * or compute the second at once. The same kernels compute the same bits.
 * @returns all nodes, and what the runtime must be told: the shapes of what enters the second time, which it cannot infer
 */
export function recomputed(
  nodes: Nodes,
  { dims, types }: Pick<Sizes, 'dims' | 'types'>,
  how: Recompute,
  g: Builder,
): { readonly nodes: readonly Node[]; readonly values: ReadonlyMap<string, Value> } {
  const values = new Map<string, Value>()
  const { forward, backward, places } = nodes
  const { segments, fixed, outputs } = how
  const elements = (value: string) => elementCount(dims.get(value) ?? [])
  const largest = forward.flatMap((n) => n.outputs).reduce((most, v) => Math.max(most, elements(v)), 0)
  const isSmall = (value: string) => elements(value) <= SMALL * largest
  const madeAt = new Map(forward.flatMap((n, i) => n.outputs.map((o) => [o, i] as const)))
  const segmentAt = cut(forward, new Set(backward.flatMap((n) => n.inputs)), segments, elements)
  const segmentOf = (value: string) => segmentAt[madeAt.get(value) ?? 0]
  const kept = new Set([
    ...outputs,
    ...forward.flatMap((n, i) => reads(n).filter((v) => madeAt.has(v) && segmentOf(v) !== segmentAt[i])),
  ])
  const isGone = (value: string, segment: number) =>
    madeAt.has(value) && segmentOf(value) === segment && !kept.has(value) && !isSmall(value)
  const partOf = (i: number) => segmentAt[Math.min(places[i], forward.length - 1)]
  const gradientAt = new Map(backward.flatMap((n, i) => n.outputs.map((o) => [o, i] as const)))

  /** The last gradient from later segments that a segment's own way back reads. */
  const arrivalAt = (segment: number): string | undefined => {
    const arriving = backward.flatMap((n, i) => (partOf(i) === segment ? n.inputs : []))
    const from = (v: string) => gradientAt.get(v) ?? -1
    const later = arriving.filter((v) => from(v) >= 0 && partOf(from(v)) > segment)
    return later.reduce<string | undefined>((a, b) => (a && from(a) >= from(b) ? a : b), undefined)
  }

  /** Computes values of a segment again, by their names. */
  const again = (segment: number, arrival: string) => {
    const first = g.op('Slice', [g.reshape(arrival, [-1]), g.ints([0]), g.ints([1])])
    const nought = g.op('Mul', [g.op('Cast', [first], { to: 7 }), g.ints([0])])
    const names = new Map<string, string>()
    const name = (value: string): string => {
      const known = names.get(value)
      if (known !== undefined || value === '') return known ?? value
      const at = madeAt.get(value)
      if (at !== undefined && isGone(value, segment)) compute(forward[at])
      else if (!fixed.has(value) && (at === undefined || !isSmall(value))) {
        const shape = dims.get(value) ?? []
        const dtype = types.get(value) ?? 'float32'
        const wider = g.op('Unsqueeze', [value, nought])
        const entered = g.op('Squeeze', [wider, g.ints([0])])
        values.set(wider, { name: wider, dtype, dims: [1, ...shape] })
        values.set(entered, { name: entered, dtype, dims: shape })
        names.set(value, entered)
      }
      if (!names.has(value)) names.set(value, value)
      return names.get(value)!
    }
    const compute = (n: Node) => {
      const inputs = n.inputs.map(name)
      const isBound = reads(n).some((v) => !n.inputs.includes(v))
      if (isBound || inputs.every((v, i) => v === n.inputs[i])) return
      const fresh = n.outputs.map((o) => (o === '' || isSmall(o) ? '' : g.fresh('again')))
      for (const [i, o] of n.outputs.entries()) if (fresh[i] !== '') names.set(o, fresh[i])
      const statistics = n.op === 'BatchNormalization' && n.outputs.length > 1
      g.nodes.push(
        statistics
          ? {
              ...withAttributes(n, { training_mode: undefined, momentum: undefined }),
              name: fresh[0],
              inputs: [...inputs.slice(0, 3), n.outputs[1], n.outputs[2]],
              outputs: [fresh[0]],
            }
          : { ...n, name: fresh.find((f) => f !== '') ?? n.name, inputs, outputs: fresh },
      )
    }
    return name
  }

  const all = [...forward]
  const started = new Map<number, ((value: string) => string) | undefined>()
  for (const [i, n] of backward.entries()) {
    const segment = partOf(i)
    if (segment === segments - 1 || !n.inputs.some((v) => isGone(v, segment))) {
      all.push(n)
      continue
    }
    const made = g.nodes.length
    if (!started.has(segment)) {
      const arrival = arrivalAt(segment)
      started.set(segment, arrival === undefined ? undefined : again(segment, arrival))
    }
    const name = started.get(segment)
    const inputs = name ? n.inputs.map((v) => (isGone(v, segment) ? name(v) : v)) : n.inputs
    all.push(...g.nodes.slice(made), { ...n, inputs })
  }
  return { nodes: all, values }
}

/** The segment of each forward node: each holds about as much of what the way back reads. */
function cut(
  forward: readonly Node[],
  read: ReadonlySet<string>,
  segments: number,
  elements: (value: string) => number,
): Int32Array {
  const sums = forward.map((n) => n.outputs.reduce((sum, o) => sum + (read.has(o) ? elements(o) : 0), 0))
  const total = sums.reduce((a, b) => a + b, 0)
  let before = 0
  return Int32Array.from(sums, (here) => {
    const segment = Math.min(segments - 1, Math.floor((segments * before) / Math.max(1, total)))
    before += here
    return segment
  })
}
