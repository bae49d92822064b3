import { EspalierError } from '@espalier/shared'
import {
  floatAttribute,
  floats,
  type Graph,
  int64s,
  intAttribute,
  intsAttribute,
  type Node,
  numbersOf,
  type Tensor,
  withAttributes,
} from '../graph/index.js'
import { TRAINING_OPSET } from '../ops/index.js'

/**
 * The same network in the form that training works on: constants among the initializers, attributes that became
 * inputs in later operator sets moved there, a fixed batch. Names of weights and values stay.
 * @throws MODEL_UNSUPPORTED for operator sets before 7, DATA_SHAPE_MISMATCH if samples do not fit the input.
 */
export function prepare(graph: Graph, batch: number, sample: readonly number[]): Graph {
  if (graph.opset < 7)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the network uses operator set ${graph.opset}; training needs 7 or newer: convert it first`,
    )
  return upgraded(batched(lifted(graph), batch, sample))
}

/** Constant nodes become initializers of the same name. */
function lifted(graph: Graph): Graph {
  const constants = graph.nodes.flatMap((n) => {
    const value = n.op === 'Constant' ? graph.constant(n.outputs[0]) : undefined
    return value ? [[n, value] as const] : []
  })
  const gone = new Set(constants.map(([n]) => n))
  return graph.with({
    nodes: graph.nodes.filter((n) => !gone.has(n)),
    initializers: new Map([...graph.initializers, ...constants.map(([n, t]) => [n.outputs[0], t] as const)]),
    values: new Map(),
  })
}

function batched(graph: Graph, batch: number, sample: readonly number[]): Graph {
  const [input] = graph.inputs
  const dims = input?.dims
  const fits =
    graph.inputs.length === 1 &&
    input.dtype === 'float32' &&
    (!dims ||
      (dims.length === sample.length + 1 &&
        sample.every((d, i) => typeof dims[i + 1] !== 'number' || dims[i + 1] === d)))
  if (!fits) {
    const wanted = graph.inputs.map((i) => `${i.name} ${i.dtype} [${i.dims?.join(', ') ?? '?'}]`).join('; ')
    throw new EspalierError(
      'DATA_SHAPE_MISMATCH',
      `a sample is [${sample.join(', ')}], but the network takes ${wanted}; ` +
        'the dimensions after the batch must agree',
    )
  }
  const single = dims?.[0] === 1
  const initializers = new Map(graph.initializers)
  const nodes = !single
    ? graph.nodes
    : graph.nodes.map((n) => {
        const i = n.op === 'Reshape' ? 1 : n.op === 'ConstantOfShape' ? 0 : -1
        const target = i < 0 ? undefined : graph.initializers.get(n.inputs[i])
        const sizes = target && numbersOf(target)
        if (sizes?.[0] !== 1) return n
        const name = `espalier.batched/${n.outputs[0]}`
        initializers.set(name, int64s([batch, ...sizes.slice(1)]))
        return { ...n, inputs: n.inputs.with(i, name) }
      })
  return graph.with({
    nodes,
    initializers,
    inputs: [{ ...input, dims: [batch, ...sample], origin: undefined }],
    outputs: graph.outputs.map((o) => ({ ...o, dims: null, origin: undefined })),
  })
}

type Move = (n: Node, name: (hint: string, value: Tensor) => string) => Node

const axesToInput: Move = (n, name) => {
  const axes = intsAttribute(n, 'axes')
  if (!axes) return n
  return withAttributes({ ...n, inputs: [n.inputs[0], name('axes', int64s(axes))] }, { axes: undefined })
}

/** By operator: the last operator set in which the attribute form was right, and how it moves. */
const moves: Readonly<Record<string, readonly [last: number, move: Move]>> = {
  Squeeze: [12, axesToInput],
  Unsqueeze: [12, axesToInput],
  ReduceSum: [12, axesToInput],
  Clip: [
    10,
    (n, name) => {
      const bound = (key: string, otherwise: number) =>
        name(key, floats([], [floatAttribute(n, key, otherwise)]))
      return withAttributes(
        {
          ...n,
          inputs: [n.inputs[0], bound('min', -3.4028234663852886e38), bound('max', 3.4028234663852886e38)],
        },
        { min: undefined, max: undefined },
      )
    },
  ],
  Slice: [
    9,
    (n, name) => {
      const starts = intsAttribute(n, 'starts') ?? []
      const axes = intsAttribute(n, 'axes') ?? starts.map((_, i) => i)
      const inputs = [starts, intsAttribute(n, 'ends') ?? [], axes].map((v, i) =>
        name(`slice${i}`, int64s(v)),
      )
      return withAttributes(
        { ...n, inputs: [n.inputs[0], ...inputs] },
        { starts: undefined, ends: undefined, axes: undefined },
      )
    },
  ],
  Pad: [
    10,
    (n, name) => {
      const inputs = [
        name('pads', int64s(intsAttribute(n, 'pads') ?? [])),
        name('value', floats([], [floatAttribute(n, 'value', 0)])),
      ]
      return withAttributes({ ...n, inputs: [n.inputs[0], ...inputs] }, { pads: undefined, value: undefined })
    },
  ],
  Split: [
    12,
    (n, name) => {
      const split = intsAttribute(n, 'split')
      if (!split) return n
      return withAttributes(
        { ...n, inputs: [n.inputs[0], name('split', int64s(split))] },
        { split: undefined },
      )
    },
  ],
  /** Until 12 the input was flattened at `axis` (1 by default); `requirePlainSoftmax` sees that it makes no difference. */
  Softmax: [12, (n) => withAttributes(n, { axis: intAttribute(n, 'axis', 1) })],
  BatchNormalization: [
    13,
    (n) => ({
      ...withAttributes(n, { spatial: undefined, momentum: undefined }),
      outputs: n.outputs.slice(0, 1),
    }),
  ],
  Dropout: [
    99,
    (n) => ({
      ...n,
      op: 'Identity',
      inputs: n.inputs.slice(0, 1),
      outputs: n.outputs.slice(0, 1),
      attributes: new Map(),
    }),
  ],
}

function upgraded(graph: Graph): Graph {
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.map((n) => {
    const [last, move] = (n.domain === '' && moves[n.op]) || [0, undefined]
    if (!move || graph.opset > last) return n.origin ? { ...n, origin: undefined } : n
    const moved = move(n, (hint, value) => {
      const name = `espalier.${hint}/${n.outputs[0]}`
      initializers.set(name, value)
      return name
    })
    return { ...moved, origin: undefined }
  })
  const opsets = new Map(graph.opsets)
  opsets.set('', Math.max(TRAINING_OPSET, graph.opset)).set('com.microsoft', 1)
  return graph.with({ nodes, initializers, opsets, origin: undefined })
}

/**
 * Until operator set 12 Softmax worked on everything from its axis on as one: the same as now only if no later axis
 * has a size.
 * @throws MODEL_UNSUPPORTED
 */
export function requirePlainSoftmax(
  graph: Graph,
  opset: number,
  dims: ReadonlyMap<string, readonly number[]>,
): void {
  if (opset > 12) return
  for (const n of graph.nodes) {
    if (n.op !== 'Softmax') continue
    const shape = dims.get(n.outputs[0]) ?? []
    const axis = intAttribute(n, 'axis', -1)
    if (shape.slice(axis < 0 ? shape.length + axis + 1 : axis + 1).some((d) => d !== 1))
      throw new EspalierError(
        'MODEL_UNSUPPORTED',
        `node '${n.name}': Softmax over several axes at once, as operator set ${opset} has it, cannot be trained through; ` +
          'convert the network to operator set 13 or newer',
      )
  }
}
