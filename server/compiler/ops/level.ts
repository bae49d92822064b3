import { type Node, node } from '../graph/index.js'
import type { Axis, FlowContext } from './define.js'

/**
 * What a value holds at the removed indices of one axis where that is not zero, but the same at each of them: another
 * value, of size one along that axis, or an operator on such. In x − mean(x) over channels a channel whose weights are
 * zero holds −mean(x); a normalisation spelled in primitives then squares that and sums it up.
 */
export type Level = string | { readonly like: Node; readonly inputs: readonly Level[] }

const zero = Symbol('exactly zero')

/** The levels of what a node computes element by element, for each of its `axes`; undefined where there is none. */
export const levelsOf = (f: FlowContext, axes: readonly Axis[]): (Level | undefined)[] =>
  axes.map((a, i) =>
    a.zero || a.atoms.length === 1 ? undefined : levelAlong(f, i - axes.length, axes.length),
  )

function levelAlong(f: FlowContext, fromEnd: number, rank: number): Level | undefined {
  const operands: (Level | typeof zero)[] = []
  let whole = false
  for (const [i, v] of f.inputs.entries()) {
    const at = (v?.axes.length ?? 0) + fromEnd
    const axis = v?.axes[at]
    const alike = !axis || axis.atoms.length === 1
    const held = alike ? f.node.inputs[i] : axis.zero ? zero : v.levels?.[at]
    if (held === undefined) return undefined
    if (held !== zero && v?.axes.length === rank) whole = true
    operands.push(held)
  }
  // A level of fewer dimensions could not be reduced as the value is.
  return whole ? applied(f.node, operands) : undefined
}

function applied(n: Node, operands: readonly (Level | typeof zero)[]): Level | undefined {
  const inputs = operands.filter((o) => o !== zero)
  if (inputs.length === operands.length) return { like: n, inputs }
  if (n.op === 'Add' || (n.op === 'Sub' && operands[1] === zero)) return inputs[0]
  return n.op === 'Sub' ? { like: node('Neg', [], []), inputs } : undefined
}

/** The nodes that compute a level, each value called by `name` and a number, and what it is then called. */
export function spelled(level: Level, name: string): { value: string; nodes: Node[] } {
  if (typeof level === 'string') return { value: level, nodes: [] }
  const parts = level.inputs.map((part, i) => spelled(part, `${name}.${i}`))
  const { op, attributes, domain } = level.like
  const own = node(
    op,
    parts.map((p) => p.value),
    [name],
    Object.fromEntries(attributes),
    { domain },
  )
  return { value: name, nodes: [...parts.flatMap((p) => p.nodes), own] }
}
