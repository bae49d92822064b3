import { type DType, type Graph, intAttribute, type Node, tensorAttribute } from '../graph/index.js'
import { MICROSOFT } from '../ops/index.js'
import { constants } from './shapes.js'

const floating: ReadonlySet<DType> = new Set(['float32', 'float64', 'float16', 'bfloat16'])
/** ONNX's numbers of those types: FLOAT, FLOAT16, DOUBLE, BFLOAT16. */
const floatingCodes = new Set([1, 10, 11, 16])

/** Operators that make something else of a floating input, or whose results are no tensors. */
const others = new Set([
  ...[
    'And',
    'ArgMax',
    'ArgMin',
    'DynamicQuantizeLinear',
    'Equal',
    'Greater',
    'GreaterOrEqual',
    'If',
    'IsInf',
    'IsNaN',
  ],
  ...[
    'Less',
    'LessOrEqual',
    'Loop',
    'Multinomial',
    'NonMaxSuppression',
    'NonZero',
    'Not',
    'Or',
    'QuantizeLinear',
    'Scan',
  ],
  ...['Shape', 'Size', 'Xor'],
])
/** Operators whose further results are of the type of the first. */
const alike = new Set(['Split', 'RNN', 'GRU', 'LSTM'])

/** Values that are floating-point tensors for certain, by the types of inputs and constants. */
export function floatingValues(graph: Graph): ReadonlySet<string> {
  const found = new Set(graph.inputs.filter((v) => floating.has(v.dtype)).map((v) => v.name))
  for (const [name, t] of constants(graph)) if (floating.has(t.dtype)) found.add(name)
  for (const n of graph.nodes) {
    if (!isFloating(n, found)) continue
    for (const o of alike.has(n.op) ? n.outputs : n.outputs.slice(0, 1)) if (o) found.add(o)
  }
  return found
}

function isFloating(n: Node, known: ReadonlySet<string>): boolean {
  if ((n.domain !== '' && n.domain !== MICROSOFT) || others.has(n.op) || /Sequence|Optional/.test(n.op))
    return false
  if (n.op === 'Cast') return floatingCodes.has(intAttribute(n, 'to', 0))
  if (n.op === 'CastLike' || n.op === 'Where') return known.has(n.inputs[1])
  if (n.op === 'OneHot') return known.has(n.inputs[2])
  if (n.op === 'DequantizeLinear') return known.has(n.inputs[1])
  if (n.op === 'ConstantOfShape') return floating.has(tensorAttribute(n, 'value')?.dtype ?? 'float32')
  return known.has(n.inputs[0])
}
