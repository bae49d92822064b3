import { intAttribute } from '../graph/index.js'
import { contract } from './conv.js'
import { type Axis, defineOp, product } from './define.js'
import { broadcast } from './elementwise.js'

/** a[…,m,k] · b[…,k,n] → y[…,m,n], with leading dimensions broadcast. */
export const matMul = defineOp({
  op: 'MatMul',
  flow(f) {
    const a = f.axes(0)
    const b = f.axes(1)
    contract(f, a[a.length - 1], b[Math.max(0, b.length - 2)])
    const rows = a.length > 1 ? [a[a.length - 2]] : []
    const columns = b.length > 1 ? [b[b.length - 1]] : []
    const batch = broadcast(f, [a.slice(0, -2), b.slice(0, -2)], 'any')
    return [{ axes: [...batch, ...rows, ...columns] }]
  },
  macs: (c) => product(c.outputDims()) * (c.inputDims(0).at(-1) ?? 1),
})

/** α·A·B + β·C with either factor transposed: [m,k] · [k,n] + C → [m,n]. */
export const gemm = defineOp({
  op: 'Gemm',
  flow(f) {
    const turn = (axes: readonly Axis[], key: string) =>
      intAttribute(f.node, key, 0) === 1 ? [axes[1], axes[0]] : axes
    const [m, ka] = turn(f.axes(0), 'transA')
    const [kb, n] = turn(f.axes(1), 'transB')
    contract(f, ka, kb)
    const y = [m, n]
    return [{ axes: f.inputs[2] ? broadcast(f, [y, f.axes(2)], 'all') : y }]
  },
  macs: (c) => {
    const a = c.inputDims(0)
    return product(c.outputDims()) * (intAttribute(c.node, 'transA', 0) === 1 ? a[0] : a[1])
  },
})
