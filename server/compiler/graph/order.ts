import { EspalierError } from '@espalier/shared'
import { type Node, reads } from './node.js'

/**
 * The nodes in an order in which each follows those whose outputs it reads; the given order is kept where it
 * allows. `known` are the values that exist beforehand.
 * @throws MODEL_INVALID if a value is read that nothing provides, made twice, or depends on itself.
 */
export function topologicalOrder(nodes: readonly Node[], known: Iterable<string>): Node[] {
  const available = new Set(known)
  const producers = new Map<string, Node>()
  for (const n of nodes) {
    for (const o of n.outputs) {
      if (!o) continue
      if (available.has(o) || producers.has(o)) {
        throw new EspalierError(
          'MODEL_INVALID',
          `value '${o}' is made twice; names must be unique within a graph`,
        )
      }
      producers.set(o, n)
    }
  }
  const ordered: Node[] = []
  const state = new Map<Node, 'open' | 'done'>()
  const visit = (root: Node) => {
    const stack: { n: Node; pending: string[] }[] = []
    const enter = (n: Node) => {
      state.set(n, 'open')
      stack.push({ n, pending: reads(n).filter((name) => !available.has(name)) })
    }
    if (!state.has(root)) enter(root)
    while (stack.length > 0) {
      const top = stack[stack.length - 1]
      const name = top.pending.pop()
      if (name === undefined) {
        state.set(top.n, 'done')
        ordered.push(top.n)
        stack.pop()
        continue
      }
      const p = producers.get(name)
      if (!p) {
        throw new EspalierError(
          'MODEL_INVALID',
          `node '${top.n.name}' (${top.n.op}) reads '${name}', which is neither an input, an initializer nor another node's output`,
        )
      }
      const s = state.get(p)
      if (s === 'open') {
        throw new EspalierError('MODEL_INVALID', `the graph has a cycle through node '${p.name}' (${p.op})`)
      }
      if (s === undefined) enter(p)
    }
  }
  for (const n of nodes) visit(n)
  return ordered
}
