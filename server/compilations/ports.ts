import type { Port, Preprocess } from '@espalier/shared/messages/index.js'
import { preprocessOf } from '../compiler/data/index.js'
import type { Graph, Value } from '../compiler/graph/index.js'
import type { VariantPorts } from '../http/schemas/index.js'

/** What an application must know to use the network; `labels` are the names of the classes. */
export function portsOf(graph: Graph, labels: readonly string[] | null = null): VariantPorts {
  return {
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(port),
    preprocess: preprocess(graph),
    labels: labels && [...labels],
  }
}

const port = ({ name, dtype, dims }: Value): Port => ({
  name,
  dtype,
  shape: (dims ?? []).map((d) => d ?? '?'),
})

function preprocess(graph: Graph): Preprocess | null {
  const found = preprocessOf(graph)
  if (!found) return null
  const { scale, mean, std } = found
  const dims = graph.inputs[0]?.dims ?? []
  const last = dims.length === 4 && Number(dims[3]) <= 4 && Number(dims[1]) > 4
  return { scale, mean: [...mean], std: [...std], layout: last ? 'nhwc' : 'nchw' }
}
