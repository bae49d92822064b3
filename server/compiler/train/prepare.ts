import { EspalierError } from '@espalier/shared'
import { type Field, fieldsOf } from '../data/index.js'
import { type Graph, int64s, type Node, numbersOf, type Value } from '../graph/index.js'
import type { Samples } from './options.js'
import { upgraded } from './upgrade.js'

/** Shapes of everything that the network is fed at once, by input. */
export type InputShapes = ReadonlyMap<string, readonly number[]>

/**
 * Shapes of a batch of samples.
 * @throws DATA_SHAPE_MISMATCH if they are not for each of the network's inputs, of its type
 */
export function batchOf(graph: Graph, batch: number, samples: Pick<Samples, 'others'> & Field): InputShapes {
  const fields = new Map(fieldsOf(samples, graph.inputs[0]?.name ?? ''))
  const lacks = graph.inputs.some(({ name, dtype }) => (fields.get(name)?.dtype ?? 'float32') !== dtype)
  const spelled = [...fields].map(([n, f]) => `${n} ${f.dtype ?? 'float32'} [${f.dims.join(', ')}]`)
  if (lacks || fields.size !== graph.inputs.length) throw unlike(graph, `a sample is ${spelled.join('; ')}`)
  return new Map([...fields].map(([name, { dims }]) => [name, [batch, ...dims]]))
}

/**
 * The same network in the form that training works on: constants among the initializers, operators as the operator
 * set of training graphs has them, sizes fixed. Names of weights and values stay.
 * @param shapes of all inputs; a network whose first dimension is fixed to 1 is widened to the batch
 * @throws MODEL_UNSUPPORTED for operator sets before 7, DATA_SHAPE_MISMATCH if the shapes do not fit the inputs.
 */
export function prepare(graph: Graph, shapes: InputShapes): Graph {
  if (graph.opset < 7)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the network uses operator set ${graph.opset}; training needs 7 or newer: convert it first`,
    )
  return upgraded(sized(lifted(graph), shapes))
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

function sized(graph: Graph, shapes: InputShapes): Graph {
  const widened = graph.inputs.some(({ name, dims }) => dims?.[0] === 1 && shapes.get(name)?.[0] !== 1)
  const inputs = graph.inputs.map((v): Value => {
    const dims = shapes.get(v.name)
    if (!dims || !fits(v, dims)) {
      const given = [...shapes].map(([name, d]) => `${name} [${d.join(', ')}]`).join('; ')
      throw unlike(graph, `the data are ${given}`)
    }
    return { ...v, dims, origin: undefined }
  })
  const initializers = new Map(graph.initializers)
  const batch = inputs[0]?.dims?.[0] as number
  const nodes = !widened
    ? graph.nodes
    : graph.nodes.map((n): Node => {
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
    inputs,
    outputs: graph.outputs.map((o) => ({ ...o, dims: null, origin: undefined })),
  })
}

/** The first dimension is the batch's and may differ from what the file fixes. */
const fits = ({ dims }: Value, given: readonly number[]) =>
  !dims ||
  (dims.length === given.length &&
    dims.every((d, i) => i === 0 || typeof d !== 'number' || d < 1 || d === given[i]))

function unlike(graph: Graph, given: string): EspalierError {
  const wanted = graph.inputs.map((i) => `${i.name} ${i.dtype} [${i.dims?.join(', ') ?? '?'}]`).join('; ')
  return new EspalierError(
    'DATA_SHAPE_MISMATCH',
    `${given}, but the network takes ${wanted}; the dimensions after the batch must agree`,
  )
}
