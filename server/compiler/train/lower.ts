import { elementCount, floats, type Graph, intAttribute, type Node } from '../graph/index.js'
import { Builder, tapsOf, windowOf } from '../ops/index.js'
import type { Sizes } from './shapes.js'

/** Above so many places in × places out, a depthwise convolution is left to the runtime. */
const LARGEST_MAP = 40_000

/**
 * Convolutions that the runtime is slow at while it trains are written as matrix products: on maps of a single
 * place, and depthwise on small maps, where each channel's window is spread to a matrix [places in, places out] and
 * the whole batch is multiplied by it (measured 3 to 7 times faster at 4×4 and 7×7, see test/bench/training.ts).
 */
export function lower(graph: Graph, { dims }: Sizes): Graph {
  const g = new Builder('lowered/')
  const nodes = graph.nodes.flatMap((n) => {
    if (n.op !== 'Conv' || n.domain !== '') return [n]
    const before = g.nodes.length
    const done = lowered(g, n, dims)
    const made = g.nodes.slice(before)
    if (!done) return [n]
    const last = made[made.length - 1]
    return [...made.slice(0, -1), { ...last, outputs: n.outputs }]
  })
  if (g.nodes.length === 0) return graph
  return graph.with({ nodes, initializers: new Map([...graph.initializers, ...g.constants]) })
}

function lowered(g: Builder, n: Node, dims: ReadonlyMap<string, readonly number[]>): boolean {
  const [x, w, bias] = n.inputs
  const [inputDims, weightDims, outputDims] = [x, w, n.outputs[0]].map((v) => dims.get(v) ?? [])
  const group = intAttribute(n, 'group', 1)
  const [batch, channels, ...input] = inputDims
  const output = outputDims.slice(2)
  const kernel = weightDims.slice(2)
  const [places, results] = [elementCount(input), elementCount(output)]
  if (places === 1 && elementCount(kernel) === 1 && group === 1) {
    const flat = g.reshape(x, [batch, channels])
    const matrix = g.reshape(w, weightDims.slice(0, 2))
    g.reshape(g.op('Gemm', bias ? [flat, matrix, bias] : [flat, matrix], { transB: 1 }), outputDims)
    return true
  }
  const depthwise = group > 1 && group === channels && group === weightDims[0]
  if (!depthwise || places * results > LARGEST_MAP) return false
  const window = windowOf(n, kernel, input, output)
  const taps = tapsOf(kernel)
  const spread = new Float32Array(taps.length * places * results)
  for (const [o, place] of tapsOf(output).entries())
    for (const [t, tap] of taps.entries()) {
      const at = tap.map((k, i) => place[i] * window.strides[i] + k * window.dilations[i] - window.before[i])
      if (at.some((a, i) => a < 0 || a >= input[i])) continue
      const i = at.reduce((sum, a, axis) => sum * input[axis] + a, 0)
      spread[(t * places + i) * results + o] = 1
    }
  const flatKernel = g.reshape(w, [channels, taps.length])
  const all = g.matMul(flatKernel, g.constant(floats([taps.length, places * results], spread)))
  const matrices = g.reshape(all, [channels, places, results])
  const columns = g.transpose(g.reshape(x, [batch, channels, places]), [1, 0, 2])
  let y = g.matMul(columns, matrices)
  if (bias) y = g.add(y, g.reshape(bias, [channels, 1, 1]))
  g.reshape(g.transpose(y, [1, 0, 2]), outputDims)
  return true
}
