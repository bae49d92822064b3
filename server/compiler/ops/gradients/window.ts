import { intsAttribute, type Node, stringAttribute } from '../../graph/index.js'

/** The sliding window of a convolution or pool, one entry a spatial axis. */
export interface Window {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Reads a node's window; `auto_pad` and ceil mode are resolved from the sizes of the input and output. */
export function windowOf(
  n: Node,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Window {
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(n, 'strides') ?? ones
  const dilations = intsAttribute(n, 'dilations') ?? ones
  const pads = intsAttribute(n, 'pads') ?? kernel.flatMap(() => [0, 0])
  const auto = stringAttribute(n, 'auto_pad', 'NOTSET')
  const total = kernel.map((k, i) =>
    Math.max(0, (output[i] - 1) * strides[i] + dilations[i] * (k - 1) + 1 - input[i]),
  )
  const before = kernel.map((_, i) => {
    if (auto === 'SAME_UPPER') return total[i] >> 1
    if (auto === 'SAME_LOWER') return (total[i] + 1) >> 1
    return auto === 'VALID' ? 0 : pads[i]
  })
  // What the last window reaches beyond the input; less than the declared padding where a stride skips the end.
  const after = kernel.map((k, i) =>
    Math.max(0, (output[i] - 1) * strides[i] + dilations[i] * (k - 1) + 1 - input[i] - before[i]),
  )
  return { kernel, strides, dilations, before, after }
}
