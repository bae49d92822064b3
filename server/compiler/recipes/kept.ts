import type { Coupling, Unit } from '../analysis/index.js'

/** How many units of each group are left: neither removed nor gone with a block. */
export function keptUnits(coupling: Coupling, removed: ReadonlySet<Unit>): number[] {
  const left = coupling.without(removed)
  const isLeft = (u: Unit) => !removed.has(u) && u.slices.some((s) => left.uses(s.tensor) > 0)
  return coupling.groups.map(({ units }) => units.filter(isLeft).length)
}
