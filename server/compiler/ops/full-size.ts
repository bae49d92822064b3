import { int64s, type Node, node } from '../graph/index.js'

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

/** The nodes that compute a mean over `stays` numbers as one over `size`, of which the others were exactly zero. */
export function meanOverAll(n: Node, stays: number, size: number, castLike: boolean): Node[] {
  const [y] = n.outputs
  const names = [`${y}.stay`, `${y}.all`]
  const numbers = [stays, size].flatMap((v, i) => [
    integers(`${names[i]}.integer`, [v]),
    castLike
      ? node('CastLike', [`${names[i]}.integer`, n.inputs[0]], [names[i]])
      : node('Cast', [`${names[i]}.integer`], [names[i]], { to: 1 }),
  ])
  return [
    ...numbers,
    node('Div', names, [`${y}.share`]),
    { ...n, outputs: [`${y}.kept`] },
    node('Mul', [`${y}.kept`, `${y}.share`], [y], {}, { name: `${y}.shared` }),
  ]
}

const integers = (name: string, values: readonly number[]): Node =>
  node('Constant', [], [name], { value: int64s(values) })
