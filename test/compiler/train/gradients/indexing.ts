import { floats, int64s, node, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { type Case, type Dims, y } from './check.js'

const integers = (dims: Dims, values: readonly number[]): Tensor => ({
  dtype: 'int64',
  dims,
  data: BigInt64Array.from(values, BigInt),
})

/** Once with the indices among the constants, once as an input of the graph: rules may use the one only. */
const both = (c: Case, name: string, value: Tensor): readonly Case[] => [
  { ...c, constants: { ...c.constants, [name]: value } },
  { ...c, what: `${c.what}, from an input`, feeds: { [name]: value } },
]

export const indexing: readonly Case[] = [
  ...both(
    {
      what: 'Gather of rows, some of them twice (an embedding)',
      nodes: [y('Gather', ['x', 'i'])],
      inputs: { x: [5, 3] },
      linear: true,
    },
    'i',
    integers([2, 4], [0, 3, 3, 1, 4, -1, 0, 0]),
  ),
  ...both(
    {
      what: 'Gather along an inner axis',
      nodes: [y('Gather', ['x', 'i'], { axis: 1 })],
      inputs: { x: [2, 5, 3] },
      linear: true,
    },
    'i',
    integers([2, 2], [4, 0, 0, -2]),
  ),
  ...both(
    {
      what: 'Gather of one place',
      nodes: [y('Gather', ['x', 'i'], { axis: 1 })],
      inputs: { x: [2, 5, 3] },
      linear: true,
    },
    'i',
    integers([], [-2]),
  ),
  ...both(
    {
      what: 'GatherElements',
      nodes: [y('GatherElements', ['x', 'i'], { axis: 1 })],
      inputs: { x: [3, 4] },
      linear: true,
    },
    'i',
    integers([2, 5], [0, 3, 3, 1, -1, 2, 2, 2, 0, 1]),
  ),
  {
    what: 'GatherND',
    nodes: [y('GatherND', ['x', 'i'])],
    inputs: { x: [3, 4, 2] },
    constants: { i: integers([2, 2, 2], [0, 1, 2, 3, 0, 1, 1, 0]) },
    linear: true,
  },
  {
    what: 'GatherND by batches',
    nodes: [y('GatherND', ['x', 'i'], { batch_dims: 2 })],
    inputs: { x: [2, 3, 4, 2] },
    constants: { i: integers([2, 3, 2, 1], [0, 1, 2, 3, 0, 1, 1, 0, 2, 2, 3, 3]) },
    linear: true,
  },
  ...['none', 'add'].flatMap((reduction): Case[] => [
    {
      what: `ScatterElements, ${reduction}`,
      nodes: [y('ScatterElements', ['x', 'i', 'u'], { axis: 1, reduction })],
      inputs: { x: [3, 5], u: [2, 3] },
      constants: { i: integers([2, 3], [0, 4, 2, 1, 3, 0]) },
    },
    {
      what: `ScatterND, ${reduction}`,
      nodes: [y('ScatterND', ['x', 'i', 'u'], { reduction })],
      inputs: { x: [4, 3, 2], u: [2, 2] },
      constants: { i: integers([2, 2], [0, 1, 3, 2]) },
    },
  ]),
  {
    what: 'TopK',
    distinct: true,
    nodes: [node('TopK', ['x', 'k'], ['y', 'at'], { axis: 1 })],
    inputs: { x: [2, 6, 3] },
    constants: { k: int64s([2]) },
  },
  {
    what: 'Compress along an axis',
    nodes: [y('Compress', ['x', 'c'], { axis: 1 })],
    inputs: { x: [2, 4, 3] },
    constants: { c: { dtype: 'bool', dims: [3], data: Uint8Array.of(1, 0, 1) } },
    linear: true,
  },
  {
    what: 'Compress of everything',
    nodes: [y('Compress', ['x', 'c'])],
    inputs: { x: [2, 3] },
    constants: { c: { dtype: 'bool', dims: [5], data: Uint8Array.of(0, 1, 1, 0, 1) } },
    linear: true,
  },
  {
    what: 'OneHot for its two values',
    nodes: [y('OneHot', ['i', 'depth', 'v'], { axis: 0 })],
    inputs: { v: [2] },
    constants: { i: integers([3], [0, 2, 5]), depth: integers([], [4]) },
    linear: true,
  },
  {
    what: 'a MatMul after positions that were looked up',
    nodes: [
      node('Gather', ['table', 'i'], ['e']),
      node('Add', ['e', 'p'], ['h']),
      node('MatMul', ['h', 'w'], ['z']),
      y('Tanh', ['z']),
    ],
    inputs: { table: [6, 4], p: [3, 4], w: [4, 2] },
    within: [-0.7, 0.7],
    feeds: { i: integers([2, 3], [5, 0, 1, 1, 5, 2]) },
  },
  {
    what: 'Gather from a row of numbers',
    nodes: [y('Gather', ['x', 'i'])],
    inputs: { x: [5] },
    constants: { i: integers([3], [1, 2, 3]) },
    linear: true,
  },
  {
    what: 'Mul by a scattered constant',
    nodes: [node('ScatterND', ['zero', 'i', 'x'], ['z']), y('Mul', ['z', 'z'])],
    inputs: { x: [2, 3] },
    constants: { zero: floats([4, 3], new Float32Array(12)), i: integers([2, 1], [3, 0]) },
  },
]
