import { stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

interface Equation {
  readonly operands: readonly string[]
  readonly result: string
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The equation with every dimension under a letter of its own: an ellipsis becomes letters, counted from its end. */
function equationOf({ node, shape }: Place): Equation {
  const [left, right] = stringAttribute(node, 'equation', '').replace(/\s/g, '').split('->')
  const terms = left.split(',')
  const free = [...LETTERS].filter((l) => !left.includes(l))
  const hidden = terms.map((term, i) =>
    term.includes('...') ? shape(node.inputs[i]).length - (term.length - 3) : 0,
  )
  const most = Math.max(...hidden)
  const ellipsis = (count: number) => free.slice(most - count, most).join('')
  const operands = terms.map((term, i) => term.replace('...', ellipsis(hidden[i])))
  const once = [...new Set(operands.join(''))].filter((l) => left.split(l).length === 2).sort()
  const result =
    right ?? `${left.includes('...') ? '...' : ''}${once.filter((l) => left.includes(l)).join('')}`
  return { operands, result: result.replace('...', ellipsis(most)) }
}

/**
 * Einstein sums are linear in every operand: its gradient is the sum of the products of dy and the others, over what
 * the operand does not hold; what only the operand held is spread. Not for operands that repeat a letter, or dimensions
 * of size 1 that are broadcast.
 */
const einsum: GradientRule = (p) => {
  const { g, dy, node } = p
  const { operands, result } = equationOf(p)
  const sizes = new Map<string, number>()
  for (const [i, term] of operands.entries())
    for (const [k, letter] of [...term].entries())
      sizes.set(letter, Math.max(sizes.get(letter) ?? 0, p.shape(node.inputs[i])[k]))
  return node.inputs.map((x, i) => {
    const own = operands[i]
    const isBroadcast = [...own].some((l, k) => p.shape(x)[k] !== sizes.get(l))
    if (!p.wants(i) || isBroadcast || new Set(own).size < own.length) return ''
    const others = operands.filter((_, k) => k !== i)
    const known = [...own].filter((l) => result.includes(l) || others.some((o) => o.includes(l)))
    const equation = `${[result, ...others].join()}->${known.join('')}`
    const inputs = [dy, ...node.inputs.filter((_, k) => k !== i)]
    const summed = g.op('Einsum', inputs, { equation })
    if (known.length === own.length) return summed
    const dims = [...own].map((l) => (known.includes(l) ? (sizes.get(l) ?? 1) : 1))
    return g.expand(g.reshape(summed, dims), p.shape(x))
  })
}

export const einsums: GradientRules = { Einsum: einsum }
