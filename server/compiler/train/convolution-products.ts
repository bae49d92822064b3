import { elementCount, floats, intAttribute } from '../graph/index.js'
import { type Lowering, tapsOf, windowOf } from '../ops/index.js'

/** Above so many places in × places out, a depthwise convolution is left to the runtime. */
const LARGEST_MAP = 40_000

/**
 * Convolutions that the runtime is slow at while it trains as matrix products: on maps of a single
 * place, and depthwise on small maps, where each channel's window is spread to a matrix [places in, places out] and
 * the whole batch is multiplied by it (measured 3 to 7 times faster at 4×4 and 7×7, see test/bench/training.ts); but in blocks,
 * where the runtime has them, that takes a tenth of the time.
 */
export const asProducts: Lowering = ({ g, node: n, shape }) => {
  const [x, w, bias] = n.inputs
  const [weightDims, outputDims] = [shape(w), shape(n.outputs[0])]
  const group = intAttribute(n, 'group', 1)
  const [batch, channels, ...input] = shape(x)
  const output = outputDims.slice(2)
  const kernel = weightDims.slice(2)
  const [places, results] = [elementCount(input), elementCount(output)]
  if (places === 1 && elementCount(kernel) === 1 && group === 1) {
    const flat = g.reshape(x, [batch, channels])
    const matrix = g.reshape(w, weightDims.slice(0, 2))
    return [g.reshape(g.op('Gemm', bias ? [flat, matrix, bias] : [flat, matrix], { transB: 1 }), outputDims)]
  }
  const depthwise = group > 1 && group === channels && group === weightDims[0]
  if (!depthwise || g.blocks(group) || places * results > LARGEST_MAP) return undefined
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
  return [g.reshape(g.transpose(y, [1, 0, 2]), outputDims)]
}
