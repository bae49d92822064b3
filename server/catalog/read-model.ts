import { serve } from '../child/index.js'
import { elementCount } from '../compiler/graph/index.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { openSession } from '../compiler/runtime/index.js'
import type { ModelFacts } from '../http/schemas/index.js'

/** Runs in a child process: reads a model that nobody vouches for, loads it as a device would, and says what it is. */
serve(async ({ path }: { path: string }): Promise<ModelFacts> => {
  const graph = await readModelFile(path, { whole: true })
  const session = await openSession(path, { optimize: false })
  await session.release()
  const ops: Record<string, number> = {}
  for (const n of graph.nodes) ops[n.op] = (ops[n.op] ?? 0) + 1
  const port = ({ name, dtype, dims }: (typeof graph.inputs)[number]) => ({
    name,
    dtype,
    dims: dims && [...dims],
  })
  return {
    params: [...graph.initializers.values()].reduce((sum, t) => sum + elementCount(t.dims), 0),
    nodes: graph.nodes.length,
    opset: graph.opset,
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(port),
    ops,
  }
})
