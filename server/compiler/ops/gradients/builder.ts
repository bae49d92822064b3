import {
  type Attribute,
  type DType,
  floats,
  int64s,
  type Node,
  node,
  type Tensor,
  tensor,
} from '../../graph/index.js'

type Attributes = Readonly<Record<string, number | string | readonly number[] | Attribute | undefined>>

/** The operator set that training graphs are written in. */
export const TRAINING_OPSET = 18
const MICROSOFT = { domain: 'com.microsoft' }
/** From so many places on, sums of products are taken row by row. */
const LARGE_MAP = 1024

/** Numbers of the element types that graphs in the making cast to, from onnx.proto. */
const elementTypes: Readonly<Partial<Record<DType, number>>> = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
}

/** Gathers the nodes and constants of a graph in the making; every method gives the name of the new value. */
export class Builder {
  readonly nodes: Node[] = []
  readonly constants = new Map<string, Tensor>()
  readonly #scalars = new Map<number, string>()
  readonly #lists = new Map<string, string>()
  #count = 0
  #isSteep = false

  /**
   * @param block channels that the runtime computes convolutions in; 1 where it has no such blocks
   * @param isLean whether memory is short, and counts more than time
   */
  constructor(
    readonly prefix: string,
    readonly block = 1,
    readonly isLean = false,
  ) {}

  /** From here on a gradient may be infinite, as the slope of √x at 0 is: no mask may multiply it, for ∞ · 0 is no number. */
  steep(): void {
    this.#isSteep = true
  }

  /** Whether a depthwise convolution of so many channels is computed in blocks; they are read four at a time. */
  blocks = (channels: number) => this.block > 1 && channels % 4 === 0 && 2 * channels >= this.block

  fresh(hint: string): string {
    return `${this.prefix}${hint}_${this.#count++}`
  }

  op(op: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    const output = this.fresh(op)
    this.nodes.push(node(op, inputs, [output], attributes, { domain }))
    return output
  }

  constant(value: Tensor): string {
    const name = this.fresh('constant')
    this.constants.set(name, value)
    return name
  }

  scalar(value: number): string {
    let name = this.#scalars.get(value)
    if (!name) {
      name = this.constant(floats([], [value]))
      this.#scalars.set(value, name)
    }
    return name
  }

  ints(values: readonly number[]): string {
    const key = values.join()
    let name = this.#lists.get(key)
    if (!name) {
      name = this.constant(int64s(values))
      this.#lists.set(key, name)
    }
    return name
  }

  bool(values: readonly boolean[], dims: readonly number[]): string {
    return this.constant(tensor('bool', dims, Uint8Array.from(values, Number)))
  }

  add = (a: string, b: string) => this.op('Add', [a, b])
  sub = (a: string, b: string) => this.op('Sub', [a, b])
  mul = (a: string, b: string) => this.op('Mul', [a, b])
  div = (a: string, b: string) => this.op('Div', [a, b])
  neg = (a: string) => this.op('Neg', [a])
  scale = (a: string, by: number) => (by === 1 ? a : this.mul(a, this.scalar(by)))

  /** a · b over the last two axes, each transposed there if asked. */
  matMul(a: string, b: string, { transA = false, transB = false } = {}): string {
    if (!transA && !transB) return this.op('MatMul', [a, b])
    return this.op(
      'FusedMatMul',
      [a, b],
      { transA: Number(transA), transB: Number(transB) },
      MICROSOFT.domain,
    )
  }

  reshape = (x: string, dims: readonly number[]) => this.op('Reshape', [x, this.ints(dims)])
  transpose = (x: string, perm: readonly number[]) => this.op('Transpose', [x], { perm })
  /** Sum over `axes`; the summed axes stay with size 1 if `keep`. */
  sum = (x: string, axes: readonly number[], keep = false) =>
    axes.length === 0 ? x : this.op('ReduceSum', [x, this.ints(axes)], { keepdims: Number(keep) })
  /** ReduceMax, ReduceMean, … over `axes`, which stay with size 1. */
  reduce = (op: string, x: string, axes: readonly number[]) =>
    this.op(op, [x, this.ints(axes)], { keepdims: 1 })
  expand = (x: string, dims: readonly number[]) => this.op('Expand', [x, this.ints(dims)])
  zeros = (dims: readonly number[]) => this.expand(this.scalar(0), dims)
  cast = (x: string, to: DType) => this.op('Cast', [x], { to: elementTypes[to] })
  /** Sum over all but the channels of [batch, channels, …]: two plain passes are quicker than one over several axes. */
  sumByChannel(x: string, [batch, channels, ...places]: readonly number[]): string {
    const count = places.reduce((n, d) => n * d, 1)
    return this.sum(
      count === 1
        ? this.reshape(x, [batch, channels])
        : this.sum(this.reshape(x, [batch, channels, count]), [2]),
      [0],
    )
  }

  /**
   * Σ a · b over all but the channels of [batch, channels, …]; of large maps as products of rows, where nothing of their size is
   * written. Of small ones the runtime multiplies rows 3 to 20 times slower than it multiplies and sums.
   */
  dotByChannel(a: string, b: string, dims: readonly number[]): string {
    const [batch, channels, ...places] = dims
    const count = places.reduce((n, d) => n * d, 1)
    if (count < LARGE_MAP) return this.sumByChannel(this.mul(a, b), dims)
    const rows = (x: string) => this.reshape(x, [batch * channels, 1, count])
    return this.sum(this.reshape(this.matMul(rows(a), rows(b), { transB: true }), [batch, channels]), [0])
  }

  /** x where the condition holds, else 0. A product is quicker than the runtime's Where with a number, where x is finite. */
  masked = (x: string, condition: string) =>
    this.#isSteep ? this.where(condition, x, this.scalar(0)) : this.mul(x, this.cast(condition, 'float32'))
  where = (condition: string, a: string, b: string) => this.op('Where', [condition, a, b])
  /** Zeros around `x`; negative amounts crop. `pads`: all starts, then all ends. */
  pad = (x: string, pads: readonly number[]) =>
    pads.every((p) => p === 0) ? x : this.op('Pad', [x, this.ints(pads)])

  slice(
    x: string,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps: readonly number[] = axes.map(() => 1),
  ): string {
    return this.op('Slice', [x, this.ints(starts), this.ints(ends), this.ints(axes), this.ints(steps)])
  }

  /** Sums `x` of shape `from` down to the shape `to` that was broadcast to it. */
  unbroadcast(x: string, from: readonly number[], to: readonly number[]): string {
    const lead = from.length - to.length
    const axes = from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []))
    if (axes.length === 0) return lead === 0 ? x : this.reshape(x, to)
    const summed = this.sum(x, axes, true)
    return lead === 0 ? summed : this.reshape(summed, to)
  }
}
