import { type Graph, intAttribute, intsAttribute, type Node } from '../graph/index.js'
import { positive } from '../ops/index.js'
import { commonFactors } from './axes.js'
import type { Shapes } from './shapes.js'

/** A run of indices of one of the source's dimensions: `size` of them, `stride` apart. */
interface Factor {
  readonly axis: number
  readonly stride: number
  readonly size: number
}

/** Where the elements of a value come from, after nothing but data movement. */
interface Move {
  readonly source: string
  /** For each dimension of the value the factors, row-major, that it runs over. */
  readonly axes: readonly (readonly Factor[])[]
  /** For each dimension of the source the index that all elements start from. */
  readonly offsets: readonly number[]
  readonly nodes: readonly Node[]
}

/** A value that is its source with indices along one dimension picked. */
export interface IndexPick {
  readonly value: string
  readonly source: string
  readonly axis: number
  readonly indices: readonly number[]
  readonly nodes: readonly Node[]
}

/**
 * Chains of Reshape, Transpose and the like whose whole effect is to pick indices along one dimension: a channel
 * shuffle, for example. Taken link by link they would couple whole groups of channels.
 */
export function indexPicks(graph: Graph, shapes: Shapes): IndexPick[] {
  const moves = new Map<string, Move>()
  const picks: IndexPick[] = []
  for (const n of graph.nodes) {
    const [x] = n.inputs
    const dims = shapes.dims.get(x)
    if (n.domain !== '' || !dims || graph.constant(x)) continue
    const base = moves.get(x) ?? identity(x, dims)
    const axes = moved(graph, shapes, n, base)
    if (!axes) continue
    const move = { ...base, ...axes, nodes: [...base.nodes, n] }
    moves.set(n.outputs[0], move)
    const pick = pickOf(n.outputs[0], move, shapes)
    if (pick) picks.push(pick)
  }
  return picks
}

const identity = (source: string, dims: readonly number[]): Move => ({
  source,
  axes: dims.map((size, axis) => (size === 1 ? [] : [{ axis, stride: 1, size }])),
  offsets: dims.map(() => 0),
  nodes: [],
})

function moved(
  graph: Graph,
  shapes: Shapes,
  n: Node,
  base: Move,
): Pick<Move, 'axes' | 'offsets'> | undefined {
  const { axes, offsets } = base
  switch (n.op) {
    case 'Transpose': {
      const order = intsAttribute(n, 'perm') ?? [...axes.keys()].reverse()
      return { axes: order.map((i) => axes[i]), offsets }
    }
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      return reshaped(base, shapes.dims.get(n.outputs[0]))
    case 'Gather': {
      const at = graph.constant(n.inputs[1])
      if (!at || at.dims.length > 0) return undefined
      const axis = positive(intAttribute(n, 'axis', 0), axes.length)
      return {
        axes: axes.filter((_, i) => i !== axis),
        offsets: started(base, axis, Number(at.data[0])),
      }
    }
    default:
      return undefined
  }
}

function reshaped({ axes, offsets }: Move, sizes: readonly number[] | undefined) {
  if (!sizes) return undefined
  const fine = axes.flat()
  const wide = sizes.filter((s) => s !== 1)
  const common = commonFactors(
    fine.map((f) => f.size),
    wide,
  )
  if (!common) return undefined
  const pieces = fine.flatMap((f, i) => {
    let stride = f.stride * f.size
    return common.before[i].map((size): Factor => {
      stride /= size
      return { axis: f.axis, stride, size }
    })
  })
  const after = common.after.map((own) => pieces.splice(0, own.length))
  return { axes: sizes.map((s) => (s === 1 ? [] : (after.shift() ?? []))), offsets }
}

/** Offsets once index `at` of a dimension was taken by number. */
function started({ axes, offsets }: Move, axis: number, at: number): number[] {
  const now = [...offsets]
  const size = axes[axis].reduce((p, f) => p * f.size, 1)
  let rest = positive(at, size)
  for (const f of [...axes[axis]].reverse()) {
    now[f.axis] += (rest % f.size) * f.stride
    rest = Math.floor(rest / f.size)
  }
  return now
}

function pickOf(
  value: string,
  { source, axes, offsets, nodes }: Move,
  shapes: Shapes,
): IndexPick | undefined {
  const dims = shapes.dims.get(source)
  if (!dims || nodes.length < 2 || axes.length !== dims.length) return undefined
  const differing: { axis: number; indices: number[] }[] = []
  for (const [axis, factors] of axes.entries()) {
    if (factors.some((f) => f.axis !== axis)) return undefined
    let indices = [offsets[axis]]
    for (const f of factors) {
      indices = indices.flatMap((i) => Array.from({ length: f.size }, (_, k) => i + k * f.stride))
    }
    const same = indices.length === dims[axis] && indices.every((v, i) => v === i)
    if (!same) differing.push({ axis, indices })
  }
  return differing.length === 1 ? { value, source, ...differing[0], nodes } : undefined
}
