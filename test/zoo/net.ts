import { xorshift } from '@espalier/server/compiler/analysis/index.js'
import {
  type Dim,
  type DType,
  floats,
  Graph,
  int64s,
  type Node,
  node,
  type Tensor,
} from '@espalier/server/compiler/graph/index.js'

type Attributes = Parameters<typeof node>[3]

export interface ConvOptions {
  readonly k?: number | readonly number[]
  readonly group?: number
  readonly stride?: number
  readonly dilation?: number
  readonly bias?: boolean
  readonly pad?: number
}

/** Writes small networks down line by line. Every method returns the name of the value it makes. */
export class Net {
  readonly #nodes: Node[] = []
  readonly #constants = new Map<string, Tensor>()
  readonly #inputs: { name: string; dtype: DType; dims: readonly Dim[] }[] = []
  readonly #random: () => number
  #count = 0

  constructor(
    readonly name: string,
    readonly opset = 17,
  ) {
    this.#random = xorshift(name.length + opset)
  }

  input(name: string, dims: readonly Dim[], dtype: DType = 'float32'): string {
    this.#inputs.push({ name, dtype, dims })
    return name
  }

  /** A weight of random numbers around zero, large enough that none can be missed; each sum has `fan` of them. */
  weight(dims: readonly number[], { around = 0, fan = 0 }: { around?: number; fan?: number } = {}): string {
    const n = dims.reduce((p, d) => p * d, 1)
    fan ||= Math.max(1, n / (dims[0] ?? 1))
    return this.constant(
      'w',
      floats(
        dims,
        Array.from(
          { length: n },
          () => around + (this.#random() * 2 - 1) * (around || 1.7 / Math.sqrt(fan)) * 0.9,
        ),
      ),
    )
  }

  ints(values: readonly number[]): string {
    return this.constant('i', int64s(values))
  }

  /** A whole number without dimensions. */
  int(value: number): string {
    return this.constant('i', { ...int64s([value]), dims: [] })
  }

  floats(dims: readonly number[], values: ArrayLike<number>): string {
    return this.constant('f', floats(dims, values))
  }

  scalar(value: number): string {
    return this.constant('s', floats([], [value]))
  }

  constant(kind: string, t: Tensor): string {
    const name = `${kind}${this.#count++}`
    this.#constants.set(name, t)
    return name
  }

  op(op: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    return this.ops(op, inputs, 1, attributes, domain)[0]
  }

  ops(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Attributes = {},
    domain = '',
  ): string[] {
    const id = this.#count++
    const names = Array.from({ length: outputs }, (_, i) => `${op}${id}${outputs > 1 ? `_${i}` : ''}`)
    this.#nodes.push(node(op, [...inputs], names, attributes, { name: `${op}${id}`, domain }))
    return names
  }

  /** A convolution that keeps positions at stride 1; `k` is one kernel size for height and width, or one a dimension. */
  conv(x: string, from: number, to: number, options: ConvOptions = {}): string {
    const { k = 3, group = 1, stride = 1, dilation = 1, bias = true, pad } = options
    const sizes = typeof k === 'number' ? [k, k] : k
    const inputs = [x, this.weight([to, from / group, ...sizes])]
    if (bias) inputs.push(this.weight([to]))
    const half = sizes.map((size) => pad ?? Math.floor(size / 2) * dilation)
    return this.op('Conv', inputs, {
      group,
      kernel_shape: sizes,
      strides: sizes.map(() => stride),
      dilations: sizes.map(() => dilation),
      pads: [...half, ...half],
    })
  }

  batchNorm(x: string, channels: number): string {
    const positive = () => this.weight([channels], { around: 1 })
    return this.op('BatchNormalization', [
      x,
      positive(),
      this.weight([channels]),
      this.weight([channels]),
      positive(),
    ])
  }

  dense(x: string, from: number, to: number): string {
    return this.op('Gemm', [x, this.weight([to, from]), this.weight([to])], { transB: 1 })
  }

  /** A classifier over what is left of x[N, C, …]. */
  head(x: string, channels: number, classes = 5): string {
    return this.dense(this.op('Flatten', [this.op('GlobalAveragePool', [x])]), channels, classes)
  }

  build(...outputs: string[]): Graph {
    return new Graph({
      name: this.name,
      nodes: this.#nodes,
      initializers: this.#constants,
      inputs: this.#inputs,
      outputs: outputs.map((name) => ({ name, dtype: 'float32', dims: null })),
      values: new Map(),
      opsets: new Map([
        ['', this.opset],
        ...(this.#nodes.some((n) => n.domain) ? ([['com.microsoft', 1]] as const) : []),
      ]),
      metadata: new Map(),
    })
  }
}
