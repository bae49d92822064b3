import { stridesOf } from '../graph/index.js'
import { type Axis, product } from '../ops/index.js'
import type { Atoms, Reason } from './atoms.js'

/** Arithmetic of axes: how atoms of one dimension become those of others under row-major reshaping. */
export class Axes {
  constructor(readonly atoms: Atoms) {}

  fresh(size: number, zero: boolean): Axis {
    return { atoms: Int32Array.from({ length: size }, () => this.atoms.fresh()), zero }
  }

  fixed(size: number, reason: Reason): Axis {
    return { atoms: new Int32Array(size).fill(this.atoms.fixed(reason)), zero: false }
  }

  /** Whether no index can go any more. */
  isFrozen(axis: Axis): boolean {
    return axis.atoms.every((a) => this.atoms.reason(a) !== undefined)
  }

  pick = (axis: Axis, indices: readonly number[]): Axis => ({
    atoms: Int32Array.from(indices, (i) => axis.atoms[i]),
    zero: axis.zero,
  })

  concat(axes: readonly Axis[]): Axis {
    const present = axes.filter((a) => a.atoms.length > 0)
    if (present.length === 1) return present[0]
    return {
      atoms: Int32Array.from(present.flatMap((a) => [...a.atoms])),
      zero: present.every((a) => a.zero),
    }
  }

  /** An index of the product goes when its index along any of the axes goes. */
  merge(axes: readonly Axis[], reason: Reason): Axis {
    const wide = axes.filter((a) => a.atoms.length !== 1)
    if (wide.length === 1) return wide[0]
    const sizes = wide.map((a) => a.atoms.length)
    const open = wide.map((a) => !this.isFrozen(a))
    const strides = stridesOf(sizes)
    const zero = wide.every((a, f) => !open[f] || a.zero)
    const none = open.some((o) => o) ? 0 : wide.length > 0 ? wide[0].atoms[0] : this.atoms.fixed(reason)
    const atoms = Int32Array.from({ length: product(sizes) }, (_, i) => {
      const parts: number[] = []
      for (let f = 0; f < wide.length; f++) {
        if (open[f]) parts.push(wide[f].atoms[Math.floor(i / strides[f]) % sizes[f]])
      }
      if (parts.length === 0) return none
      return parts.length === 1 ? parts[0] : this.atoms.or(parts)
    })
    return { atoms, zero }
  }

  /** Factors along which atoms do not differ are fixed; one that alone differs takes the atoms; several get new ones. */
  split(axis: Axis, sizes: readonly number[], reason: Reason): Axis[] {
    const strides = stridesOf(sizes)
    const roots = axis.atoms.map((a) => this.atoms.find(a))
    const at = (i: number, f: number) => Math.floor(i / strides[f]) % sizes[f]
    const differs = sizes.map(
      (size, f) => size > 1 && roots.some((r, i) => r !== roots[i - at(i, f) * strides[f]]),
    )
    const varying = differs.filter((d) => d).length
    const whole: Reason = { ...reason, text: 'its parts go together or not at all' }
    const factors = sizes.map((size, f): Axis => {
      if (!differs[f]) return this.fixed(size, whole)
      if (varying > 1) return this.fresh(size, axis.zero)
      return this.pick(
        axis,
        Array.from({ length: size }, (_, i) => i * strides[f]),
      )
    })
    if (varying > 1) {
      axis.atoms.forEach((a, i) => {
        const parts = factors.flatMap((factor, f) => (differs[f] ? [factor.atoms[at(i, f)]] : []))
        this.atoms.join(this.atoms.or(parts), a)
      })
    }
    return factors
  }

  /** Row-major reshape: blocks of dimensions with equal products are split into common factors and merged anew. */
  reshape(axes: readonly Axis[], sizes: readonly number[], reason: Reason): Axis[] {
    const one = () => this.fixed(1, { ...reason, text: 'a size of one' })
    const before = axes.filter((a) => a.atoms.length !== 1)
    const factors = commonFactors(
      before.map((a) => a.atoms.length),
      sizes.filter((s) => s !== 1),
    )
    if (!factors) {
      for (const a of before) for (const atom of a.atoms) this.atoms.freeze(atom, reason)
      return sizes.map((size) => this.fixed(size, reason))
    }
    const pieces = before.flatMap((a, i) =>
      factors.before[i].length === 1 ? [a] : this.split(a, factors.before[i], reason),
    )
    let next = 0
    const after = factors.after.map((own) => {
      const mine = pieces.slice(next, next + own.length)
      next += own.length
      return this.merge(mine, reason)
    })
    return sizes.map((size) => (size === 1 ? one() : (after.shift() ?? one())))
  }
}

/**
 * Sizes of two row-major shapes of one product, each written as products of common factors; undefined where
 * their boundaries do not nest ([4, 6] and [6, 4]) or a size is zero.
 */
export function commonFactors(
  before: readonly number[],
  after: readonly number[],
): { before: number[][]; after: number[][] } | undefined {
  if (product(before) !== product(after) || product(before) === 0) return undefined
  const ends = (sizes: readonly number[]) => {
    let total = 1
    return sizes.map((s) => {
      total *= s
      return total
    })
  }
  const cuts = [...new Set([...ends(before), ...ends(after)])].sort((a, b) => a - b)
  const factors: number[] = []
  let last = 1
  for (const cut of cuts) {
    if (cut % last !== 0) return undefined
    factors.push(cut / last)
    last = cut
  }
  const regroup = (sizes: readonly number[]) => {
    let next = 0
    return sizes.map((size) => {
      const own: number[] = []
      for (let total = 1; total < size; next++) {
        own.push(factors[next])
        total *= factors[next]
      }
      return own
    })
  }
  return { before: regroup(before), after: regroup(after) }
}
