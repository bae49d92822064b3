import { create } from '@bufbuild/protobuf'
import type { Attribute } from '@espalier/server/compiler/graph/index.js'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as T,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, type Examples, through } from './through.js'

/** Numbers that are not floats are scalars here: a Loop wants to know that. */
const value = (name: string, elemType: number = T.FLOAT) => {
  const shape = elemType === T.FLOAT ? undefined : { dim: [] }
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType, shape } } }),
  })
}

interface Body {
  readonly inputs?: readonly ReturnType<typeof value>[]
  readonly nodes: readonly (readonly [op: string, inputs: readonly string[], output: string])[]
  readonly outputs: readonly ReturnType<typeof value>[]
  readonly captures: readonly string[]
}

/** A subgraph as an attribute, as a file would have brought it. */
const body = (name: string, { inputs = [], nodes, outputs, captures }: Body): Record<string, Attribute> => ({
  [name]: {
    type: 'graph',
    captures,
    origin: create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.GRAPH,
      g: create(GraphProtoSchema, {
        name,
        node: nodes.map(([opType, input, output]) =>
          create(NodeProtoSchema, { opType, input: [...input], output: [output] }),
        ),
        input: [...inputs],
        output: [...outputs],
      }),
    }),
  },
})

const yes = (n: Net) => n.constant('c', { dtype: 'bool', dims: [], data: Uint8Array.of(1) })
const weight = (n: Net) => n.weight([CHANNELS, 1, 1])

export const control: Examples = {
  If: [
    through(
      (n, h) => {
        const w = weight(n)
        const branch = (name: string, op: string) =>
          body(name, { nodes: [[op, [h, w], `${name}_y`]], outputs: [value(`${name}_y`)], captures: [h, w] })
        return n.op('If', [yes(n)], { ...branch('then_branch', 'Add'), ...branch('else_branch', 'Mul') })
      },
      { open: false },
    ),
  ],
  Loop: [
    through(
      (n, h) => {
        const w = weight(n)
        const step = body('body', {
          inputs: [value('i', T.INT64), value('go', T.BOOL), value('v')],
          nodes: [
            ['Identity', ['go'], 'on'],
            ['Add', ['v', w], 'next'],
          ],
          outputs: [value('on', T.BOOL), value('next')],
          captures: [w],
        })
        return n.op('Loop', [n.ints([3]), yes(n), h], step)
      },
      { open: false },
    ),
  ],
  Scan: [
    through(
      (n, h) => {
        const w = weight(n)
        const step = body('body', {
          inputs: [value('sample')],
          nodes: [['Add', ['sample', w], 'y']],
          outputs: [value('y')],
          captures: [w],
        })
        return n.op('Scan', [h], { num_scan_inputs: 1, ...step })
      },
      { open: false },
    ),
  ],
}
