import { int64s, type Node, node } from '../graph/index.js'
import { type Level, spelled } from './level.js'

/**
 * The nodes that compute a normalisation over its last axis as it was before pruning. What went was exactly zero, so
 * its inputs (of these ranks, by position) are filled up with zeros to the full size, and the result is cut to what
 * stays: mean and variance are those of the network whose weights are zero.
 */
export function atFullSize(n: Node, ranks: ReadonlyMap<number, number>, stays: number, size: number): Node[] {
  const [y] = n.outputs
  const inputs = [...n.inputs]
  const filled = [...ranks].flatMap(([i, rank]) => {
    inputs[i] = `${y}.full${i}`
    const pads = Array.from({ length: 2 * rank }, (_, k) => (k === 2 * rank - 1 ? size - stays : 0))
    return [integers(`${inputs[i]}.pads`, pads), node('Pad', [n.inputs[i], `${inputs[i]}.pads`], [inputs[i]])]
  })
  const bounds = [`${y}.from`, `${y}.to`, `${y}.axis`]
  return [
    ...filled,
    { ...n, inputs, outputs: [`${y}.full`, ...n.outputs.slice(1)] },
    ...[0, stays, -1].map((v, k) => integers(bounds[k], [v])),
    node('Slice', [`${y}.full`, ...bounds], [y], {}, { name: `${y}.cut` }),
  ]
}

/** What a reduction ran over before pruning: `size` indices, of which those that do not stay held zero, or `level`. */
export interface Reduced {
  readonly stays: number
  readonly size: number
  readonly level?: Level
  /** Numbers are cast to the type of what is reduced, for it is not float32. */
  readonly castLike: boolean
}

/** The nodes that compute a mean as it was before pruning. */
export function meanOverAll(n: Node, { stays, size, level, castLike }: Reduced): Node[] {
  const [y] = n.outputs
  const share = (of: number, from: string, to: string) => times(from, [of, size], to, castLike && n.inputs[0])
  const kept = { ...n, outputs: [`${y}.kept`] }
  if (level === undefined) return [kept, ...share(stays, `${y}.kept`, y)]
  return [
    kept,
    ...share(stays, `${y}.kept`, `${y}.shared`),
    ...overLevel(n, level),
    ...share(size - stays, `${y}.level`, `${y}.gone`),
    node('Add', [`${y}.shared`, `${y}.gone`], [y], {}, { name: `${y}.full` }),
  ]
}

/** The nodes that compute a sum as it was before pruning, where what went was at a level. */
export function sumOverAll(n: Node, level: Level, { stays, size, castLike }: Reduced): Node[] {
  const [y] = n.outputs
  return [
    { ...n, outputs: [`${y}.kept`] },
    ...overLevel(n, level),
    ...times(`${y}.level`, [size - stays], `${y}.gone`, castLike && n.inputs[0]),
    node('Add', [`${y}.kept`, `${y}.gone`], [y], {}, { name: `${y}.full` }),
  ]
}

/** The same reduction of what one removed index held, as `y.level`. */
function overLevel({ op, inputs, outputs: [y], attributes }: Node, level: Level): Node[] {
  const { value, nodes } = spelled(level, `${y}.removed`)
  return [...nodes, node(op, [value, ...inputs.slice(1)], [`${y}.level`], Object.fromEntries(attributes))]
}

/** from · count, or from · count / all; as float32, or of the type of the value `like`. */
function times(from: string, counts: readonly number[], to: string, like: string | false): Node[] {
  const names = counts.map((_, i) => `${to}.${i}`)
  const numbers = counts.flatMap((v, i) => [
    integers(`${names[i]}.integer`, [v]),
    like
      ? node('CastLike', [`${names[i]}.integer`, like], [names[i]])
      : node('Cast', [`${names[i]}.integer`], [names[i]], { to: 1 }),
  ])
  const share = counts.length > 1 ? [node('Div', names, [`${to}.share`])] : []
  return [
    ...numbers,
    ...share,
    node('Mul', [from, share[0]?.outputs[0] ?? names[0]], [to], {}, { name: `${to}.part` }),
  ]
}

const integers = (name: string, values: readonly number[]): Node =>
  node('Constant', [], [name], { value: int64s(values) })
