import { constantOf } from './constant-node.js'
import { type Node, reads } from './node.js'
import type { DType, Tensor } from './tensor.js'

/** A dimension: its size, the name of a dynamic one, or null where nothing is said. */
export type Dim = number | string | null

/** A graph input, output or annotated intermediate. `dims` is null where the rank is unknown. */
export interface Value {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly Dim[] | null
  readonly origin?: object
}

export interface GraphParts {
  readonly name: string
  /** In an order in which every node comes after those it reads. */
  readonly nodes: readonly Node[]
  readonly initializers: ReadonlyMap<string, Tensor>
  /** What a caller feeds; initializers that are also listed as inputs are not among them. */
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  /** Annotations of intermediates, by name. */
  readonly values: ReadonlyMap<string, Value>
  /** Operator-set versions by domain; the default domain is ''. */
  readonly opsets: ReadonlyMap<string, number>
  readonly metadata: ReadonlyMap<string, string>
  readonly origin?: object
}

/** An immutable network. Edits make a new graph that shares what they keep. */
export class Graph implements GraphParts {
  readonly name: string
  readonly nodes: readonly Node[]
  readonly initializers: ReadonlyMap<string, Tensor>
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly values: ReadonlyMap<string, Value>
  readonly opsets: ReadonlyMap<string, number>
  readonly metadata: ReadonlyMap<string, string>
  readonly origin?: object
  #producers?: Map<string, Node>
  #consumers?: Map<string, Node[]>

  constructor(parts: GraphParts) {
    this.name = parts.name
    this.nodes = parts.nodes
    this.initializers = parts.initializers
    this.inputs = parts.inputs
    this.outputs = parts.outputs
    this.values = parts.values
    this.opsets = parts.opsets
    this.metadata = parts.metadata
    this.origin = parts.origin
  }

  /** The same graph with some parts replaced. The caller keeps `nodes` in topological order. */
  with(changes: Partial<GraphParts>): Graph {
    return new Graph({ ...this, ...changes })
  }

  /** Version of the default operator set. */
  get opset(): number {
    return this.opsets.get('') ?? 1
  }

  /** The node that computes `value`; undefined for inputs and initializers. */
  producer(value: string): Node | undefined {
    if (!this.#producers) {
      this.#producers = new Map()
      for (const n of this.nodes) for (const o of n.outputs) if (o) this.#producers.set(o, n)
    }
    return this.#producers.get(value)
  }

  /** The nodes that read `value`, also from inside their subgraphs; each once, in graph order. */
  consumers(value: string): readonly Node[] {
    if (!this.#consumers) {
      this.#consumers = new Map()
      for (const n of this.nodes) {
        for (const name of new Set(reads(n))) {
          const list = this.#consumers.get(name)
          if (list) list.push(n)
          else this.#consumers.set(name, [n])
        }
      }
    }
    return this.#consumers.get(value) ?? []
  }

  /** How many times `value` is used: once a consuming node, and once more as a graph output. */
  uses(value: string): number {
    return this.consumers(value).length + (this.isOutput(value) ? 1 : 0)
  }

  isOutput(value: string): boolean {
    return this.outputs.some((o) => o.name === value)
  }

  /** The constant called `value`: an initializer, or the tensor of a Constant node. */
  constant(value: string): Tensor | undefined {
    const initializer = this.initializers.get(value)
    if (initializer) return initializer
    const producer = this.producer(value)
    if (producer?.op !== 'Constant' || producer.domain !== '') return undefined
    return constantOf(producer)
  }
}
