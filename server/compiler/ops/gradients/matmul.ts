import { elementCount, floatAttribute, intAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

/** y = α · A' · B' + β · C, where ' transposes if the attribute says so. */
const gemm: GradientRule = (p) => {
  const { g, dy, node, shape } = p
  const [a, b, c] = node.inputs
  const transA = intAttribute(node, 'transA', 0) === 1
  const transB = intAttribute(node, 'transB', 0) === 1
  const scaled = g.scale(dy, floatAttribute(node, 'alpha', 1))
  const da = () =>
    transA ? g.matMul(b, scaled, { transA: transB, transB: true }) : g.matMul(scaled, b, { transB: !transB })
  const db = () =>
    transB ? g.matMul(scaled, a, { transA: true, transB: transA }) : g.matMul(a, scaled, { transA: !transA })
  const dc = () =>
    g.unbroadcast(g.scale(dy, floatAttribute(node, 'beta', 1)), shape(node.outputs[0]), shape(c))
  return [p.wants(0) ? da() : '', p.wants(1) ? db() : '', p.wants(2) ? dc() : '']
}

/** Stacks of matrices that broadcast; a plain matrix on the right takes all rows at once. */
const matMul: GradientRule = (p) => {
  const { g, dy, node } = p
  const [a, b] = node.inputs
  const [da, db, dims] = [p.shape(a), p.shape(b), p.shape(node.outputs[0])]
  if (da.length < 2 || db.length < 2) return vectorMatMul(p)
  const batchOf = (x: readonly number[]) => x.slice(0, -2)
  const ga = () => {
    const full = [...batchOf(dims), ...da.slice(-2)]
    return g.unbroadcast(g.matMul(dy, b, { transB: true }), full, da)
  }
  const gb = () => {
    if (db.length === 2 && da.length > 2) {
      const rows = elementCount(da.slice(0, -1))
      const [left, right] = [g.reshape(a, [rows, db[0]]), g.reshape(dy, [rows, db[1]])]
      // The runtime multiplies a tall matrix by a narrow one quicker than the other way round.
      if (db[0] >= db[1]) return g.matMul(left, right, { transA: true })
      return g.transpose(g.matMul(right, left, { transA: true }), [1, 0])
    }
    const full = [...batchOf(dims), ...db.slice(-2)]
    return g.unbroadcast(g.matMul(a, dy, { transA: true }), full, db)
  }
  return [p.wants(0) ? ga() : '', p.wants(1) ? gb() : '']
}

/** A one-dimensional operand is a row on the left, a column on the right. */
function vectorMatMul({ g, dy, node, shape, wants }: Place): readonly string[] {
  const [a, b] = node.inputs
  const [da, db] = [shape(a), shape(b)]
  const left = da.length === 1 ? [1, ...da] : da
  const right = db.length === 1 ? [...db, 1] : db
  const batch = (left.length > right.length ? left : right).slice(0, -2)
  const rows = [...batch, left[left.length - 2], right[right.length - 1]]
  const [x, w, d] = [g.reshape(a, left), g.reshape(b, right), g.reshape(dy, rows)]
  const back = (grad: string, matrix: readonly number[], dims: readonly number[]) =>
    g.reshape(g.unbroadcast(grad, [...batch, ...matrix.slice(-2)], matrix), dims)
  return [
    wants(0) ? back(g.matMul(d, w, { transB: true }), left, da) : '',
    wants(1) ? back(g.matMul(x, d, { transA: true }), right, db) : '',
  ]
}

/** y = α · A' · B' over the last two axes; not with the batch among the transposed ones. */
const fusedMatMul: GradientRule = (p) => {
  const { g, node } = p
  const [a, b] = node.inputs
  const [da, db, dims] = [p.shape(a), p.shape(b), p.shape(node.outputs[0])]
  const [transA, transB] = ['transA', 'transB'].map((t) => intAttribute(node, t, 0) === 1)
  const odd = ['transBatchA', 'transBatchB'].some((t) => intAttribute(node, t, 0) === 1)
  if (odd || da.length < 2 || db.length < 2) return ['', '']
  const dy = g.scale(p.dy, floatAttribute(node, 'alpha', 1))
  const left = transA
    ? () => g.matMul(b, dy, { transA: transB, transB: true })
    : () => g.matMul(dy, b, { transB: !transB })
  const right = transB
    ? () => g.matMul(dy, a, { transA: true, transB: transA })
    : () => g.matMul(a, dy, { transA: !transA })
  const back = (d: string, to: readonly number[]) =>
    g.unbroadcast(d, [...dims.slice(0, -2), ...to.slice(-2)], to)
  return [p.wants(0) ? back(left(), da) : '', p.wants(1) ? back(right(), db) : '']
}

export const products: GradientRules = {
  Gemm: gemm,
  MatMul: matMul,
  'com.microsoft.FusedMatMul': fusedMatMul,
}
