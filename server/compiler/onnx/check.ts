import { EspalierError } from '@espalier/shared'
import {
  AttributeProto_AttributeType as A,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
} from 'onnx-buf'
import { checkTensor, type ExternalData } from './tensor.js'

/**
 * Refuses what contradicts itself, in subgraphs and functions too, which the compiler carries whole and the runtime
 * reads. Data that lie in other files are taken into their tensors, so that nothing reads those files again.
 * @throws MODEL_INVALID, MODEL_TOO_HEAVY, EXTERNAL_DATA_INVALID
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
  refuseRecursion(model)

  function graph(g: GraphProto): void {
    for (const t of g.initializer) checkTensor(t, external)
    for (const { values, indices } of g.sparseInitializer)
      for (const t of [values, indices]) if (t) checkTensor(t, external)
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

  function node(n: NodeProto): void {
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
    for (const s of a.sparseTensor ? [a.sparseTensor, ...a.sparseTensors] : a.sparseTensors)
      for (const t of [s.values, s.indices]) if (t) checkTensor(t, external)
  }
}

function unique(names: readonly string[], what: string): void {
  if (new Set(names).size === names.length) return
  const seen = new Set<string>()
  const twice = names.find((name) => seen.size === seen.add(name).size)
  throw invalid(`${what} '${twice}' is there twice; names must be unique`)
}

/** A function that calls itself, by way of others or not, would be written out without end. */
function refuseRecursion(model: ModelProto): void {
  const key = (domain: string, name: string) => `${domain}:${name}`
  const calls = new Map(
    model.functions.map((f) => [key(f.domain, f.name), calledIn(f.node).map((n) => key(n.domain, n.opType))]),
  )
  const state = new Map<string, 'open' | 'done'>()
  const visit = (name: string): void => {
    const inner = calls.get(name)
    if (!inner || state.get(name) === 'done') return
    if (state.get(name) === 'open') throw invalid(`function '${name}' calls itself`)
    state.set(name, 'open')
    inner.forEach(visit)
    state.set(name, 'done')
  }
  for (const name of calls.keys()) visit(name)
}

const calledIn = (nodes: readonly NodeProto[]): NodeProto[] =>
  nodes.flatMap((n) => [
    n,
    ...n.attribute.flatMap((a) => [...(a.g ? [a.g] : []), ...a.graphs].flatMap((g) => calledIn(g.node))),
  ])

const invalid = (what: string) => new EspalierError('MODEL_INVALID', `${what}; export the model again`)
