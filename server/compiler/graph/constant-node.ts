import type { Node } from './node.js'
import { floats, int64s, type Tensor, tensor } from './tensor.js'

const made = new WeakMap<Node, Tensor>()

/**
 * What a Constant node holds, in whichever attribute it says so; the same tensor each time. Undefined for strings and
 * sparse tensors.
 */
export function constantOf(n: Node): Tensor | undefined {
  const known = made.get(n)
  if (known) return known
  const t = heldBy(n)
  if (t) made.set(n, t)
  return t
}

function heldBy(n: Node): Tensor | undefined {
  for (const [key, a] of n.attributes) {
    if (key === 'value' && a.type === 'tensor') return a.value
    if (key === 'value_int' && a.type === 'int') return tensor('int64', [], BigInt64Array.of(BigInt(a.value)))
    if (key === 'value_ints' && a.type === 'ints') return int64s(a.value)
    if (key === 'value_float' && a.type === 'float') return floats([], [a.value])
    if (key === 'value_floats' && a.type === 'floats') return floats([a.value.length], a.value)
  }
  return undefined
}
