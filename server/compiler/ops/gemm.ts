import { intAttribute, type Node, stringAttribute } from '../graph/index.js'
import { keepsZero } from './activation.js'
import { contract } from './conv.js'
import { type Axis, defineOp, type FlowContext, MICROSOFT, product, withZero } from './define.js'
import { broadcast } from './elementwise.js'

/** a[…,m,k] · b[…,k,n] → y[…,m,n], with leading dimensions broadcast. A vector is a row on the left, a column on the right. */
export function multiply(f: FlowContext, a: readonly Axis[], b: readonly Axis[]): Axis[] {
  contract(f, a[a.length - 1], b[Math.max(0, b.length - 2)])
  const rows = a.length > 1 ? [a[a.length - 2]] : []
  const columns = b.length > 1 ? [b[b.length - 1]] : []
  return [...broadcast(f, [a.slice(0, -2), b.slice(0, -2)], 'any'), ...rows, ...columns]
}

export const matMul = defineOp({
  op: 'MatMul',
  flow: (f) => [{ axes: multiply(f, f.axes(0), f.axes(1)) }],
  macs: (c) => product(c.outputDims()) * (c.inputDims(0).at(-1) ?? 1),
})

/** MatMul of factors that may be turned: `trans` swaps the last two dimensions, `transBatch` moves the first to the last but one. */
export const fusedMatMul = defineOp({
  op: 'FusedMatMul',
  domain: MICROSOFT,
  flow: (f) => [{ axes: multiply(f, turned(f.node, f.axes(0), 'A'), turned(f.node, f.axes(1), 'B')) }],
  macs: (c) => product(c.outputDims()) * (turned(c.node, c.inputDims(0), 'A').at(-1) ?? 1),
})

function turned<T>(node: Node, dims: readonly T[], side: 'A' | 'B'): readonly T[] {
  const flag = (name: string) => dims.length > 1 && intAttribute(node, `${name}${side}`, 0) === 1
  const [first, ...rest] = dims
  const moved = flag('transBatch') ? [...rest.slice(0, -1), first, rest[rest.length - 1]] : dims
  return flag('trans') ? [...moved.slice(0, -2), ...moved.slice(-2).reverse()] : moved
}

/** α·A·B + β·C with either factor transposed: [m,k] · [k,n] + C → [m,n]; the fused one bends what it gives. */
const gemmLike = (op: string, domain = '') =>
  defineOp({
    op,
    domain,
    flow(f) {
      const [m, ka] = turned(f.node, f.axes(0), 'A')
      const [kb, n] = turned(f.node, f.axes(1), 'B')
      contract(f, ka, kb)
      const y = f.inputs[2] ? broadcast(f, [[m, n], f.axes(2)], 'all') : [m, n]
      const bent = keepsZero(stringAttribute(f.node, 'activation', ''))
      return [{ axes: y.map((a) => withZero(a, a.zero && bent)) }]
    },
    macs: (c) => product(c.outputDims()) * turned(c.node, c.inputDims(0), 'A')[1],
  })

export const gemms = [gemmLike('Gemm'), gemmLike('FusedGemm', MICROSOFT)]
