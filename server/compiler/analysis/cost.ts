import { elementCount, type Graph, type Tensor } from '../graph/index.js'
import { opFor } from '../ops/index.js'
import { constants, type Shapes } from './shapes.js'
import { weightsOf } from './weights.js'

export interface Cost {
  /** Multiply–accumulates for one sample. */
  readonly macs: number
  /** Numbers the network was trained to: elements of all weights, quantised ones too. */
  readonly params: number
  /** Bytes of all constants. */
  readonly weightBytes: number
}

/**
 * What a graph costs at given dimensions of its values and constants: those of a run, or what `Coupling.dims`
 * predicts. Operators that nobody described count no MACs.
 */
export function costOf(
  graph: Graph,
  dims: ReadonlyMap<string, readonly number[]>,
  { batch }: Pick<Shapes, 'batch'>,
): Cost {
  const of = (name: string | undefined) => (name ? dims.get(name) : undefined) ?? []
  let macs = 0
  for (const n of graph.nodes) {
    macs +=
      opFor(n)?.macs({
        node: n,
        inputDims: (i) => of(n.inputs[i]),
        outputDims: (i = 0) => of(n.outputs[i]),
      }) ?? 0
  }
  let params = 0
  let weightBytes = 0
  const weights = weightsOf(graph)
  const counted = new Map<Tensor, Set<string>>()
  for (const [name, t] of constants(graph)) {
    const now = dims.get(name) ?? t.dims
    // Copies that consumers of one constant were given hold the very same tensor: while alike they count once.
    const known = counted.get(t) ?? new Set()
    if (known.has(`${now}`) || graph.uses(name) === 0) continue
    counted.set(t, known.add(`${now}`))
    const count = elementCount(now)
    weightBytes += count * t.data.BYTES_PER_ELEMENT
    if (weights.has(name)) params += count
  }
  return { macs: macs / batch, params, weightBytes }
}
