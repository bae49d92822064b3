import { EspalierError } from '@espalier/shared'
import {
  elementCount,
  float,
  floatAttribute,
  type Graph,
  intsAttribute,
  type Node,
  withAttributes,
} from '../graph/index.js'
import { type Builder, flat, opFor } from '../ops/index.js'
import type { Sizes } from './shapes.js'

/** y is a product of inputs, linear in each: second derivatives go back through the squares of the others. */
const products = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Mul'])
/** y holds each input once, or sums of them: the entries of the Jacobian are 0, 1 and −1, their own squares. */
const carriers = new Set([
  ...[
    'Identity',
    'Dropout',
    'Reshape',
    'Flatten',
    'Squeeze',
    'Unsqueeze',
    'Transpose',
    'Concat',
    'Slice',
    'Split',
  ],
  ...[
    'Gather',
    'Expand',
    'Pad',
    'Add',
    'Sub',
    'Neg',
    'Sum',
    'ReduceSum',
    'MaxPool',
    'GlobalMaxPool',
    'ReduceMax',
    'Where',
  ],
])
/** y is a mean of as many inputs everywhere. */
const averages = new Set(['GlobalAveragePool', 'ReduceMean', 'AveragePool'])
/** Each y depends on one x: second derivatives go back through f′(x)², f″ left out. */
const pointwise = new Set([
  ...[
    'Relu',
    'LeakyRelu',
    'PRelu',
    'Clip',
    'HardSwish',
    'HardSigmoid',
    'Sigmoid',
    'Tanh',
    'Elu',
    'Selu',
    'Softplus',
  ],
  ...[
    'Gelu',
    'Erf',
    'Exp',
    'Log',
    'Sqrt',
    'Abs',
    'Pow',
    'Div',
    'BatchNormalization',
    'Mish',
    'Softsign',
    'ThresholdedRelu',
  ],
])

/** Carries second derivatives of a scalar back through a network, operator by operator; see `curvature`. */
export class SecondDerivatives {
  readonly forward: Node[]
  readonly #parts = new Map<string, string[]>()
  readonly #varies: Set<string>
  readonly #squares = new Map<string, string>()

  constructor(
    readonly graph: Graph,
    readonly sizes: Sizes,
    readonly g: Builder,
    readonly wanted: ReadonlySet<string>,
  ) {
    this.forward = [...graph.nodes]
    this.#varies = new Set(wanted)
    for (const n of graph.nodes)
      if (!flat(n) && n.inputs.some((i) => this.#varies.has(i)))
        for (const o of n.outputs) this.#varies.add(o)
  }

  give(value: string, part: string): void {
    this.#parts.set(value, [...(this.#parts.get(value) ?? []), part])
  }

  back(): Map<string, string> {
    for (let at = this.forward.length - 1; at >= 0; at--) {
      const n = this.forward[at]
      if (!n.outputs.some((o) => this.#varies.has(o))) continue
      const above = n.outputs.map((o) => (o ? this.#total(o) : ''))
      if (above.every((a) => a === '')) continue
      const parts = this.#through(n, at, above)
      for (const [i, input] of n.inputs.entries())
        if (this.#varies.has(input) && parts[i]) this.give(input, parts[i])
    }
    return new Map([...this.wanted].flatMap((name) => (this.#total(name) ? [[name, this.#total(name)]] : [])))
  }

  #total(value: string): string {
    const parts = this.#parts.get(value) ?? []
    if (parts.length > 1) this.#parts.set(value, [this.g.op('Sum', parts)])
    return this.#parts.get(value)?.[0] ?? ''
  }

  #through(n: Node, at: number, above: readonly string[]): readonly string[] {
    const { g } = this
    if (products.has(n.op)) return this.#rule(this.#squared(n), at, above)
    if (carriers.has(n.op)) return this.#rule(n, at, above).map((part) => part && g.op('Abs', [part]))
    if (averages.has(n.op))
      return this.#rule(n, at, above).map((part) => part && g.scale(part, 1 / this.#averaged(n)))
    if (pointwise.has(n.op)) {
      const shape = this.#shape(n.outputs[0])
      const slopes = this.#rule(n, at, [g.op('Expand', [g.scalar(1), g.ints(shape)])], [n.inputs[0]])
      return [slopes[0] && g.mul(g.mul(slopes[0], slopes[0]), above[0])]
    }
    throw this.#unknown(n)
  }

  #rule(n: Node, at: number, dys: readonly string[], only?: readonly string[]): readonly string[] {
    const narrow = new Set<string>()
    const { g } = this
    const gradients = opFor(n)?.gradient?.({
      node: n,
      g,
      dys,
      dy: dys[0],
      wants: (i) => this.#varies.has(this.forward[at].inputs[i]) && (!only || only.includes(n.inputs[i])),
      shape: (value) => this.#shape(value),
      dtype: (value) => this.sizes.types.get(value) ?? 'float32',
      broadcast: (part) => {
        narrow.add(part)
        return part
      },
      constant: (value) => this.graph.constant(value) ?? this.sizes.constants.get(value),
      output: (i) => {
        const current = this.forward[at]
        if (current.outputs[i]) return current.outputs[i]
        const length = Math.max(i + 1, current.outputs.length)
        const outputs = Array.from({ length }, (_, k) => current.outputs[k] ?? '')
        outputs[i] = g.fresh(`${n.op}.${i}`)
        this.forward[at] = { ...current, outputs }
        return outputs[i]
      },
    })
    if (!gradients) throw this.#unknown(n)
    return gradients.map((part, i) =>
      narrow.has(part) ? g.op('Expand', [part, g.ints(this.#shape(n.inputs[i]))]) : part,
    )
  }

  /** The node on the squares of its inputs; what it multiplies by is squared, too. */
  #squared(n: Node): Node {
    const inputs = n.inputs.map((i) => {
      if (!i) return i
      const kept = this.#squares.get(i) ?? this.g.mul(i, i)
      this.#squares.set(i, kept)
      return kept
    })
    const squares =
      n.op === 'Gemm'
        ? { alpha: float(floatAttribute(n, 'alpha', 1) ** 2), beta: float(floatAttribute(n, 'beta', 1) ** 2) }
        : {}
    return withAttributes({ ...n, inputs }, squares)
  }

  #shape(value: string): readonly number[] {
    const original = [...this.#squares].find(([, square]) => square === value)?.[0] ?? value
    const dims = this.sizes.dims.get(original)
    if (!dims) throw new Error(`no shape is known for '${value}'`)
    return dims
  }

  /** How many inputs each output is the mean of. */
  #averaged(n: Node): number {
    if (n.op !== 'AveragePool')
      return elementCount(this.#shape(n.inputs[0])) / elementCount(this.#shape(n.outputs[0]))
    if ((intsAttribute(n, 'pads') ?? []).some((p) => p !== 0)) throw this.#unknown(n)
    return elementCount(intsAttribute(n, 'kernel_shape') ?? [])
  }

  #unknown(n: Node): EspalierError {
    return new EspalierError(
      'GRADIENT_UNKNOWN',
      `node '${n.name}': how second derivatives go back through ${n.op} is not known; use criterion fisher, which needs only first ones`,
    )
  }
}
