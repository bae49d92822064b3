import { numbersOf, stridesOf, type Tensor, tensor } from '../graph/index.js'
import type { Coupling } from './coupling.js'

type Known = Pick<Coupling, 'graph' | 'quantised'>

/** A constant; where it is quantised, the real numbers that it stands for: scale · (element − point), as float64. */
export function realOf(known: Known, name: string): Tensor | undefined {
  const t = known.graph.constant(name)
  const scheme = known.quantised.get(name)
  if (!t || !scheme) return t
  const [scale, point] = [scheme.scale, scheme.point].map((s) => elementsOf(known, s, t, scheme.axis))
  const values = numbersOf(t).map((v, i) => (scale?.(i) ?? 1) * (v - (point?.(i) ?? 0)))
  return tensor('float64', t.dims, Float64Array.from(values))
}

/** By flat index, what stands for zero in a constant; undefined where zero does. */
export function zeroOf(known: Known, name: string, t: Tensor): ((i: number) => number) | undefined {
  const scheme = known.quantised.get(name)
  return scheme && elementsOf(known, scheme.point, t, scheme.axis)
}

/** Of a constant of one element, or one an index of `t`'s axis, the one that goes with a flat index of `t`. */
function elementsOf({ graph }: Known, name: string | undefined, t: Tensor, axis: number) {
  const held = name === undefined ? undefined : graph.constant(name)
  if (!held) return undefined
  const values = numbersOf(held)
  const stride = stridesOf(t.dims)[axis] ?? 1
  return (i: number): number => values[Math.floor(i / stride) % values.length]
}
