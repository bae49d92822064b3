import { EspalierError } from '@espalier/shared'
import {
  AttributeProto_AttributeType as A,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type SparseTensorProto,
} from 'onnx-buf'
import { elementCount } from '../graph/index.js'
import { most } from '../most.js'
import { checkTensor, type ExternalData } from './tensor.js'

/**
 * Refuses what contradicts itself, in subgraphs and functions too, which the compiler carries whole and the runtime
 * reads. Data that lie in other files are taken into their tensors, so that nothing reads those files again.
 * @throws MODEL_INVALID, MODEL_TOO_HEAVY, MODEL_UNSUPPORTED, EXTERNAL_DATA_INVALID
 */
export function check(model: ModelProto, external?: ExternalData): void {
  unique(
    model.opsetImport.map((o) => (o.domain === 'ai.onnx' ? '' : o.domain)),
    'operator set',
  )
  if (model.graph) graph(model.graph)
  for (const f of model.functions) f.node.forEach(node)
  for (const { initialization, algorithm } of model.trainingInfo)
    for (const g of [initialization, algorithm]) if (g) graph(g)
  countWrittenOut(model)

  function graph(g: GraphProto): void {
    for (const t of g.initializer) checkTensor(t, external)
    g.sparseInitializer.forEach(sparse)
    const constants = [
      ...g.initializer.map((t) => t.name),
      ...g.sparseInitializer.map((s) => s.values?.name ?? ''),
    ]
    const inputs = g.input.map((v) => v.name)
    unique(constants, 'initializer')
    unique(inputs, 'input')
    // An initializer may be listed as an input too: it is that input's default.
    const given = new Set([...constants, ...inputs])
    unique([...given, ...g.node.flatMap((n) => n.output.filter((o) => o !== ''))], 'value')
    g.node.forEach(node)
  }

  /** The runtime makes it dense. */
  function sparse({ values, indices, dims }: SparseTensorProto): void {
    for (const t of [values, indices]) if (t) checkTensor(t, external)
    const elements = elementCount(dims.map(Number))
    if (elements > most.elements)
      throw new EspalierError(
        'MODEL_TOO_HEAVY',
        `sparse tensor '${values?.name}' has ${elements.toPrecision(3)} elements when it is written out`,
      )
  }

  function node(n: NodeProto): void {
    if (inner.has(n.domain)) throw runtimesOwn(n)
    unique(
      n.attribute.map((a) => a.name),
      `attribute of '${n.name}' (${n.opType})`,
    )
    for (const a of n.attribute) attribute(a, n)
  }

  function attribute(a: AttributeProto, n: NodeProto): void {
    const absent = (a.type === A.TENSOR && !a.t) || (a.type === A.GRAPH && !a.g)
    if (absent) throw invalid(`attribute '${a.name}' of '${n.name}' (${n.opType}) is empty`)
    for (const t of a.t ? [a.t, ...a.tensors] : a.tensors) checkTensor(t, external)
    for (const g of a.g ? [a.g, ...a.graphs] : a.graphs) graph(g)
    for (const s of a.sparseTensor ? [a.sparseTensor, ...a.sparseTensors] : a.sparseTensors) sparse(s)
  }
}

function unique(names: readonly string[], what: string): void {
  if (new Set(names).size === names.length) return
  const seen = new Set<string>()
  const twice = names.find((name) => seen.size === seen.add(name).size)
  throw invalid(`${what} '${twice}' is there twice; names must be unique`)
}

/**
 * Operators that onnxruntime puts in itself. Their kernels trust it that channels are laid out in blocks, and read
 * beyond their inputs where a file asks for them.
 */
const inner = new Set(['com.microsoft.nchwc', 'com.ms.internal.nhwc'])

const runtimesOwn = (n: NodeProto) =>
  new EspalierError(
    'MODEL_UNSUPPORTED',
    `operator ${n.domain}.${n.opType} of node '${n.name}' is of onnxruntime's own layout: the file was saved for one ` +
      'processor; export the network again, or save it without layout optimizations',
  )

/**
 * The runtime writes functions out where they are called: one that calls itself, by way of others or not, would have
 * no end, and one that calls twice what calls twice, and so on, would have far too many nodes.
 */
function countWrittenOut({ functions, graph }: ModelProto): void {
  const bodies = new Map(functions.map((f) => [`${f.domain}:${f.name}`, calledIn(f.node)]))
  const sizes = new Map<string, number | 'open'>()
  const sizeOf = (n: NodeProto): number => {
    const name = `${n.domain}:${n.opType}`
    const body = bodies.get(name)
    if (!body) return 1
    const known = sizes.get(name)
    if (known === 'open') throw invalid(`function '${name}' calls itself`)
    if (known !== undefined) return known
    sizes.set(name, 'open')
    const size = body.reduce((sum, inner) => sum + sizeOf(inner), 0)
    sizes.set(name, size)
    return size
  }
  for (const f of functions) for (const n of f.node) sizeOf(n)
  const all = calledIn(graph?.node ?? []).reduce((sum, n) => sum + sizeOf(n), 0)
  if (all > most.nodes)
    throw new EspalierError(
      'MODEL_TOO_HEAVY',
      `the model has ${all.toPrecision(3)} nodes when its functions are written out; at most ${most.nodes} can be worked with`,
    )
}

const calledIn = (nodes: readonly NodeProto[]): NodeProto[] =>
  nodes.flatMap((n) => [
    n,
    ...n.attribute.flatMap((a) => [...(a.g ? [a.g] : []), ...a.graphs].flatMap((g) => calledIn(g.node))),
  ])

const invalid = (what: string) => new EspalierError('MODEL_INVALID', `${what}; export the model again`)
