import { intAttribute, intsAttribute } from '../graph/index.js'
import { positive } from '../ops/index.js'
import type { SizeContext } from './known-sizes.js'
import { broadcast, fixed, type Known, numberOf, over, product } from './size.js'

type SizeRule = (c: SizeContext, output: number) => readonly Known[]

const first: SizeRule = (c) => c.dims(0)

const broadcasting: SizeRule = (c) => {
  const operands = c.node.inputs.map((_, i) => c.dims(i))
  return c.seen.map((_, i) =>
    broadcast(
      operands.flatMap((d) => (i - c.seen.length + d.length >= 0 ? [d[i - c.seen.length + d.length]] : [])),
    ),
  )
}

/** Each sample by itself: all but the first dimension are those of the run, if they were the input's in every run. */
const bySample: SizeRule = (c) => {
  const [n, ...rest] = c.dims(0)
  const known = rest.every((s) => numberOf(s) !== undefined)
  return [n, ...c.seen.slice(1).map((s) => (known ? fixed(s) : undefined))]
}

/** The same, with as many channels as the weights have at `axis`, by groups. */
const convolution =
  (axis: number): SizeRule =>
  (c, i) => {
    const [n, , ...positions] = bySample(c, i)
    const group = axis === 1 ? intAttribute(c.node, 'group', 1) : 1
    const channels = numberOf(c.dims(1)[axis])
    return [n, channels === undefined ? undefined : fixed(channels * group), ...positions]
  }

const matMul: SizeRule = (c) => {
  const [a, b] = [c.dims(0), c.dims(1)]
  if (a.length < 2 || b.length < 2) return []
  const batch = c.seen.slice(0, -2).map((_, i) => {
    const at = (d: readonly Known[]) =>
      i - c.seen.length + d.length >= 0 ? [d[i - c.seen.length + d.length]] : []
    return broadcast([...at(a), ...at(b)])
  })
  return [...batch, a[a.length - 2], b[b.length - 1]]
}

const gemm: SizeRule = (c) => [
  c.dims(0)[intAttribute(c.node, 'transA', 0)],
  c.dims(1)[1 - intAttribute(c.node, 'transB', 0)],
]

const transpose: SizeRule = (c) => {
  const dims = c.dims(0)
  return (intsAttribute(c.node, 'perm') ?? [...dims.keys()].reverse()).map((i) => dims[i])
}

const reshape: SizeRule = (c) => {
  const before = c.dims(0)
  const copies = intAttribute(c.node, 'allowzero', 0) === 0
  const targets = c.elements(1) ?? intsAttribute(c.node, 'shape')?.map(fixed) ?? []
  const said = targets.map((t, i) => (numberOf(t) === 0 && copies ? before[i] : t))
  const rest = over(product(before), product(said.filter((t) => numberOf(t) !== -1)))
  return said.map((t) => (numberOf(t) === -1 ? rest : t))
}

const flatten: SizeRule = (c) => {
  const dims = c.dims(0)
  const axis = positive(intAttribute(c.node, 'axis', 1), dims.length)
  return [product(dims.slice(0, axis)), product(dims.slice(axis))]
}

const concat: SizeRule = (c) => {
  const parts = c.node.inputs.map((_, i) => c.dims(i))
  const axis = positive(intAttribute(c.node, 'axis', 0), c.seen.length)
  return c.seen.map((_, i) => {
    const sizes = parts.map((d) => d[i])
    if (i !== axis) return sizes.find((s) => s !== undefined)
    const numbers = sizes.map(numberOf)
    return numbers.every((v) => v !== undefined) ? fixed(numbers.reduce((sum, v) => sum + v, 0)) : undefined
  })
}

const gather: SizeRule = (c) => {
  const dims = c.dims(0)
  const axis = positive(intAttribute(c.node, 'axis', 0), dims.length)
  return [...dims.slice(0, axis), ...c.dims(1), ...dims.slice(axis + 1)]
}

/** Axes that an attribute, or in later opsets an input, names; undefined where they are not known. */
function named(c: SizeContext, input: number, rank: number): ReadonlySet<number> | undefined {
  const given = c.node.inputs[input]
    ? c.elements(input)?.map(numberOf)
    : (intsAttribute(c.node, 'axes') ?? [])
  if (!given?.every((a) => a !== undefined)) return undefined
  return new Set(given.map((a) => positive(a, rank)))
}

const reduce: SizeRule = (c) => {
  const dims = c.dims(0)
  const axes = named(c, 1, dims.length)
  if (!axes || axes.size === 0) return []
  const keep = intAttribute(c.node, 'keepdims', 1) === 1
  return dims.flatMap((d, i) => (axes.has(i) ? (keep ? [fixed(1)] : []) : [d]))
}

const squeeze: SizeRule = (c) => {
  const axes = named(c, 1, c.dims(0).length)
  return axes && axes.size > 0 ? c.dims(0).filter((_, i) => !axes.has(i)) : []
}

const unsqueeze: SizeRule = (c) => {
  const axes = named(c, 1, c.seen.length)
  const dims = [...c.dims(0)]
  return axes ? c.seen.map((_, i) => (axes.has(i) ? fixed(1) : dims.shift())) : []
}

/** Dimensions that are cut are those of the run where they were the input's in every run and so were the bounds. */
const slice: SizeRule = (c) => {
  const dims = c.dims(0)
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((i) => c.elements(i)?.map(numberOf))
  const bounded = [starts, ends].every((list) => list?.every((v) => v !== undefined))
  if (c.node.inputs.length < 3 || !bounded || (c.node.inputs[3] && !axes) || (c.node.inputs[4] && !steps))
    return []
  const cut = new Set((axes ?? [...(starts ?? []).keys()]).map((a) => positive(a ?? Number.NaN, dims.length)))
  return dims.map((d, i) => (!cut.has(i) ? d : numberOf(d) === undefined ? undefined : fixed(c.seen[i])))
}

const split: SizeRule = (c) => {
  const dims = c.dims(0)
  const axis = positive(intAttribute(c.node, 'axis', 0), dims.length)
  const even = !c.node.inputs[1] || c.elements(1)?.every((e) => numberOf(e) !== undefined)
  return dims.map((d, i) =>
    i !== axis ? d : even && numberOf(d) !== undefined ? fixed(c.seen[i]) : undefined,
  )
}

const expand: SizeRule = (c) => {
  const [dims, wanted] = [c.dims(0), c.elements(1)]
  return c.seen.map((_, i) => {
    const at = (d: readonly Known[]) =>
      i - c.seen.length + d.length >= 0 ? [d[i - c.seen.length + d.length]] : []
    return broadcast([...at(dims), ...(wanted ? at(wanted) : [undefined])])
  })
}

const rules: readonly (readonly [readonly string[], SizeRule])[] = [
  [
    [
      ...[
        'Abs',
        'BatchNormalization',
        'Cast',
        'CastLike',
        'Ceil',
        'Celu',
        'Clip',
        'Cos',
        'CumSum',
        'Dropout',
        'Elu',
      ],
      ...['Erf', 'Exp', 'Floor', 'Gelu', 'GroupNormalization', 'HardSigmoid', 'HardSwish', 'Identity'],
      ...[
        'InstanceNormalization',
        'LRN',
        'LeakyRelu',
        'LogSoftmax',
        'Log',
        'LpNormalization',
        'Mish',
        'Neg',
        'Not',
      ],
      ...[
        'PRelu',
        'QuantizeLinear',
        'DequantizeLinear',
        'RMSNormalization',
        'Reciprocal',
        'Relu',
        'Round',
        'Selu',
      ],
      ...[
        'Sigmoid',
        'Sign',
        'SimplifiedLayerNormalization',
        'Sin',
        'Softmax',
        'Softplus',
        'Softsign',
        'Sqrt',
        'Swish',
      ],
      ...['Tanh', 'Trilu'],
    ],
    first,
  ],
  [['LayerNormalization'], (c, i) => (i === 0 ? c.dims(0) : [])],
  [
    [
      ...[
        'Add',
        'And',
        'Div',
        'Equal',
        'Greater',
        'GreaterOrEqual',
        'Less',
        'LessOrEqual',
        'Max',
        'Mean',
        'Min',
        'Mod',
      ],
      ...['Mul', 'Or', 'Pow', 'Sub', 'Sum', 'Where', 'Xor'],
    ],
    broadcasting,
  ],
  [
    [
      ...[
        'AveragePool',
        'DepthToSpace',
        'GlobalAveragePool',
        'GlobalLpPool',
        'GlobalMaxPool',
        'LpPool',
        'MaxPool',
      ],
      'SpaceToDepth',
    ],
    bySample,
  ],
  [['Conv'], convolution(0)],
  [['ConvTranspose'], convolution(1)],
  [['MatMul'], matMul],
  [['Gemm'], gemm],
  [['Transpose'], transpose],
  [['Reshape'], reshape],
  [['Flatten'], flatten],
  [['Concat'], concat],
  [['Gather'], gather],
  [
    ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'].map(
      (r) => `Reduce${r}`,
    ),
    reduce,
  ],
  [['Squeeze'], squeeze],
  [['Unsqueeze'], unsqueeze],
  [['Slice'], slice],
  [['Split'], split],
  [['Expand'], expand],
]

/** What operators make of sizes of which some are not known, by name. */
export const sizeRules: ReadonlyMap<string, SizeRule> = new Map(
  rules.flatMap(([ops, rule]) => ops.map((op) => [op, rule] as const)),
)
