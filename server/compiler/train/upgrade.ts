import {
  floatAttribute,
  floats,
  type Graph,
  int64s,
  intAttribute,
  intsAttribute,
  type Node,
  node,
  type Tensor,
  withAttributes,
} from '../graph/index.js'
import { TRAINING_OPSET } from '../ops/index.js'

/** What a move may make beside the node itself. */
interface Making {
  /** Name of a new constant of this node. */
  constant(hint: string, value: Tensor): string
  /** Name of a new intermediate value of this node. */
  value(hint: string): string
}

type Move = (n: Node, making: Making) => Node | readonly Node[]

const toInputs = (n: Node, extra: readonly string[], attributes: readonly string[]): Node =>
  withAttributes(
    { ...n, inputs: [n.inputs[0], ...extra] },
    Object.fromEntries(attributes.map((a) => [a, undefined])),
  )

const axesToInput: Move = (n, { constant }) => {
  const axes = intsAttribute(n, 'axes')
  return axes ? toInputs(n, [constant('axes', int64s(axes))], ['axes']) : n
}

const clip: Move = (n, { constant }) => {
  const bound = (key: string, otherwise: number) =>
    constant(key, floats([], [floatAttribute(n, key, otherwise)]))
  return toInputs(
    n,
    [bound('min', -3.4028234663852886e38), bound('max', 3.4028234663852886e38)],
    ['min', 'max'],
  )
}

const slice: Move = (n, { constant }) => {
  const starts = intsAttribute(n, 'starts') ?? []
  const axes = intsAttribute(n, 'axes') ?? starts.map((_, i) => i)
  const inputs = [starts, intsAttribute(n, 'ends') ?? [], axes].map((v, i) =>
    constant(`slice${i}`, int64s(v)),
  )
  return toInputs(n, inputs, ['starts', 'ends', 'axes'])
}

const pad: Move = (n, { constant }) =>
  toInputs(
    n,
    [
      constant('pads', int64s(intsAttribute(n, 'pads') ?? [])),
      constant('value', floats([], [floatAttribute(n, 'value', 0)])),
    ],
    ['pads', 'value'],
  )

const split: Move = (n, { constant }) => {
  const parts = intsAttribute(n, 'split')
  return parts ? toInputs(n, [constant('split', int64s(parts))], ['split']) : n
}

/** From 18 on equal parts are asked for by their number. */
const splitEqually: Move = (n, making) => {
  const moved = split(n, making) as Node
  return moved.inputs[1] ? moved : withAttributes(moved, { num_outputs: n.outputs.length })
}

/** Until 12 all dimensions from `axis` on (1 by default) counted as one. */
const flatSoftmax: Move = (n, { value }) => {
  const [x] = n.inputs
  const [flat, soft, shape] = [value('flat'), value('soft'), value('shape')]
  return [
    node('Flatten', [x], [flat], { axis: intAttribute(n, 'axis', 1) }),
    node(n.op, [flat], [soft], { axis: 1 }),
    node('Shape', [x], [shape]),
    node('Reshape', [soft, shape], n.outputs, {}, { name: n.name }),
  ]
}

/** Operator sets 7 to 10 sampled from the corner of each place, and knew no regions. */
const resize: Move = (n, { constant }) => {
  const scales = n.inputs[1] || constant('scales', floats([], []))
  const linear = n.attributes.get('mode')
  const attributes = {
    ...(linear ? { mode: linear } : {}),
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  }
  return node('Resize', [n.inputs[0], '', scales], n.outputs, attributes, { name: n.name })
}

const upsample: Move = (n, making) => {
  const attribute = n.attributes.get('scales')
  if (attribute?.type !== 'floats') return resize(n, making)
  const scales = making.constant('scales', floats([attribute.value.length], attribute.value))
  return resize({ ...n, inputs: [n.inputs[0], scales] }, making)
}

const topK: Move = (n, { constant }) => toInputs(n, [constant('k', int64s([intAttribute(n, 'k', 1)]))], ['k'])

const batchNormalization: Move = (n) => ({
  ...withAttributes(n, { spatial: undefined, momentum: undefined }),
  outputs: n.outputs.slice(0, 1),
})

/** Its ratio is an input from 12 on. */
const dropout: Move = (n, { constant }) =>
  toInputs(n, [constant('ratio', floats([], [floatAttribute(n, 'ratio', 0.5)]))], ['ratio'])

const reductions = ['Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare']

/** By operator, oldest first: the last operator set in which a form was right, and how it moves on. */
const moves: Readonly<Record<string, readonly (readonly [last: number, move: Move])[]>> = {
  Squeeze: [[12, axesToInput]],
  Unsqueeze: [[12, axesToInput]],
  ReduceSum: [[12, axesToInput]],
  ...Object.fromEntries(reductions.map((r) => [`Reduce${r}`, [[17, axesToInput]] as const])),
  Clip: [[10, clip]],
  Slice: [[9, slice]],
  Pad: [[10, pad]],
  Split: [
    [12, splitEqually],
    [17, splitEqually],
  ],
  Softmax: [[12, flatSoftmax]],
  LogSoftmax: [[12, flatSoftmax]],
  Hardmax: [[12, flatSoftmax]],
  Upsample: [[9, upsample]],
  Resize: [[10, resize]],
  TopK: [[9, topK]],
  Scatter: [[10, (n) => ({ ...n, op: 'ScatterElements' })]],
  BatchNormalization: [[13, batchNormalization]],
  Dropout: [[11, dropout]],
}

/**
 * Every node as the operator set of training graphs has it. Dropout is left in the form that drops nothing.
 */
export function upgraded(graph: Graph): Graph {
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.flatMap((n) => {
    const move = n.domain === '' ? moves[n.op]?.find(([last]) => graph.opset <= last)?.[1] : undefined
    const moved =
      move?.(n, {
        constant(hint, value) {
          const name = `espalier.${hint}/${n.outputs[0]}`
          initializers.set(name, value)
          return name
        },
        value: (hint) => `espalier.${hint}/${n.outputs[0]}`,
      }) ?? n
    const made = Array.isArray(moved) ? (moved as readonly Node[]) : [moved as Node]
    return made.map((m) => ({ ...(m.op === 'Dropout' ? still(m) : m), origin: undefined }))
  })
  const opsets = new Map(graph.opsets)
  opsets.set('', Math.max(TRAINING_OPSET, graph.opset)).set('com.microsoft', 1)
  return graph.with({ nodes, initializers, opsets, origin: undefined })
}

const still = (n: Node): Node => ({ ...n, inputs: n.inputs.slice(0, 2), outputs: n.outputs.slice(0, 1) })
