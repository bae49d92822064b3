import { EspalierError } from '@espalier/shared'
import type { Graph, Node } from '../graph/index.js'
import { type Builder, flat, fullName, lacksGradient, opFor, passingAll } from '../ops/index.js'
import type { Sizes } from './shapes.js'

export interface Gradients {
  /** The forward nodes; some compute an optional output more than before. */
  readonly forward: readonly Node[]
  /** For each node written to `g`: the place of the forward node that it carries gradients through. */
  readonly places: readonly number[]
  /** Name of the gradient of each wanted value that the seeds depend on. */
  readonly of: ReadonlyMap<string, string>
}

/**
 * Reverse-mode differentiation: writes into `g` the nodes that carry `seeds` (gradients of some values, by value)
 * back to the `wanted` values.
 * @throws GRADIENT_UNKNOWN, naming the node, where the way back leads through an operator without a rule.
 */
export function differentiate(
  graph: Graph,
  sizes: Sizes,
  seeds: ReadonlyMap<string, string>,
  wanted: Iterable<string>,
  g: Builder,
): Gradients {
  const needed = new Set(wanted)
  const varies = new Set(needed)
  const isFloat = (value: string) => (sizes.types.get(value) ?? 'float32').includes('float')
  for (const n of graph.nodes)
    if (!flat(n) && n.inputs.some((i) => varies.has(i)))
      for (const o of n.outputs) if (isFloat(o)) varies.add(o)
  const parts = new Map<string, string[]>()
  const give = (value: string, gradient: string) => {
    const list = parts.get(value)
    if (list) list.push(gradient)
    else parts.set(value, [gradient])
  }
  for (const [value, seed] of seeds) give(value, seed)
  const shapeOf = (value: string) => {
    const dims = sizes.dims.get(value)
    if (!dims) throw new Error(`no shape is known for '${value}'`)
    return dims
  }
  const narrow = new Set<string>()
  const total = (value: string): string => {
    const list = parts.get(value) ?? []
    if (list.length > 0 && list.every((part) => narrow.has(part)))
      list[0] = g.op('Expand', [list[0], g.ints(shapeOf(value))])
    if (list.length > 1) parts.set(value, [list.length === 2 ? g.add(list[0], list[1]) : g.op('Sum', list)])
    return parts.get(value)?.[0] ?? ''
  }
  const forward = [...graph.nodes]
  const places: number[] = []
  const mark = (at: number) => {
    while (places.length < g.nodes.length) places.push(at)
  }
  mark(forward.length)
  for (let at = forward.length - 1; at >= 0; at--) {
    mark(at + 1)
    const n = forward[at]
    if (!n.outputs.some((o) => varies.has(o))) continue
    const dys = n.outputs.map((o) => (o ? total(o) : ''))
    if (dys.every((dy) => dy === '')) continue
    const isBeyond = dys.some((dy, i) => i > 0 && dy !== '') && !passingAll.has(n.op)
    const rule = isBeyond ? undefined : opFor(n)?.gradient
    const gradients = rule?.({
      node: n,
      g,
      dys,
      dy: dys[0],
      wants: (i) => varies.has(n.inputs[i]),
      shape: shapeOf,
      dtype: (value) => sizes.types.get(value) ?? 'float32',
      broadcast: (gradient) => {
        narrow.add(gradient)
        return gradient
      },
      constant: (value) =>
        varies.has(value) ? undefined : (graph.constant(value) ?? sizes.constants.get(value)),
      output: (i) => {
        const current = forward[at]
        if (current.outputs[i]) return current.outputs[i]
        const outputs = Array.from(
          { length: Math.max(i + 1, current.outputs.length) },
          (_, k) => current.outputs[k] ?? '',
        )
        outputs[i] = g.fresh(`${n.op}.${i}`)
        forward[at] = { ...current, outputs }
        return outputs[i]
      },
    })
    for (const [i, input] of n.inputs.entries()) {
      if (!varies.has(input)) continue
      const gradient = gradients?.[i]
      if (!gradient) throw unknown(n, (opFor(n)?.gradient ?? opFor(n)?.lowering) !== undefined)
      give(input, gradient)
    }
  }
  const of = new Map<string, string>()
  mark(0)
  for (const value of needed) {
    const gradient = total(value)
    if (gradient) of.set(value, gradient)
  }
  mark(0)
  return { forward, places, of }
}

function unknown(n: Node, known: boolean): EspalierError {
  const reason = lacksGradient(n)
  return new EspalierError(
    'GRADIENT_UNKNOWN',
    `node '${n.name}': no gradient is known for ${fullName(n)}${known ? ' in the form used here' : ''}` +
      `${reason ? ` (${reason})` : ''}, and trainable weights lie before it; ` +
      'this network cannot be trained, but it can be pruned and measured',
  )
}
