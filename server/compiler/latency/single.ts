import { type Coupling, constants } from '../analysis/index.js'
import { Graph, type Node } from '../graph/index.js'

export type Dims = (name: string | undefined) => readonly number[]

/** Operators that the runtime fuses into the convolution before them. */
const fusing = new Set([
  'Add',
  'BatchNormalization',
  'Clip',
  'HardSigmoid',
  'LeakyRelu',
  'Relu',
  'Sigmoid',
  'Tanh',
])

/** Whether the runtime computes this node together with a convolution that only it reads. */
export function isFused(graph: Graph, node: Node): boolean {
  if (node.op === 'Constant') return true
  if (!fusing.has(node.op)) return false
  return node.inputs.some((name) => {
    const maker = graph.producer(name)
    return maker !== undefined && graph.uses(name) === 1 && (maker.op === 'Conv' || isFused(graph, maker))
  })
}

/** Attributes that say how operators are laid out and not how long they take, or what sizes say already. */
const silent = new Set(['group', 'pads', 'auto_pad', 'ceil_mode', 'count_include_pad', 'storage_order'])
/** Attributes that say nothing where they are ones. */
const factors = new Set(['strides', 'dilations'])

/** What tells operators apart whose sizes are the same: attributes, but for those that change no time by themselves. */
export function kindOf({ op, domain, attributes }: Node): string {
  const isConvolution = op === 'Conv' || op === 'ConvTranspose'
  const said = [...attributes].flatMap(([name, a]) => {
    if (a.type === 'tensor' || a.type === 'graph' || a.type === 'other' || silent.has(name)) return []
    if (isConvolution && name === 'kernel_shape') return []
    if (factors.has(name) && a.type === 'ints' && a.value.every((v) => v === 1)) return []
    return [`${name}=${a.value}`]
  })
  const group = attributes.get('group')
  const grouped = group?.type === 'int' && group.value > 1 ? ['grouped'] : []
  return [domain, ...said.sort(), ...grouped].filter(Boolean).join(' ')
}

/** Sizes of one sample: of all inputs of a node, and of its first output. */
export function sizesOf({ graph, shapes }: Coupling, { inputs, outputs }: Node, dims: Dims): number[][] {
  return [...inputs, outputs[0]].map((name) => {
    const [first, ...rest] = dims(name)
    if (first === undefined) return []
    return [shapes.batch > 1 && first === shapes.batch && !graph.constant(name) ? 1 : first, ...rest]
  })
}

/** A graph of this node alone, for one sample: what is no constant in its graph becomes an input. */
export function single(graph: Graph, node: Node, sizes: readonly (readonly number[])[]): Graph | undefined {
  const own = new Map([...constants(graph)].filter(([name]) => node.inputs.includes(name)))
  const fed = node.inputs.flatMap((name, i) =>
    name && !own.has(name) && node.inputs.indexOf(name) === i ? [{ name, dims: sizes[i] }] : [],
  )
  if (fed.length === 0) return undefined
  return new Graph({
    name: 'single',
    nodes: [node],
    initializers: own,
    inputs: fed.map(({ name, dims }) => ({ name, dtype: 'float32', dims })),
    outputs: [{ name: node.outputs[0], dtype: 'float32', dims: null }],
    values: new Map(),
    opsets: graph.opsets,
    metadata: new Map(),
  })
}
