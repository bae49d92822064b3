import type { Coupling } from './coupling.js'

/** By how many indices one unit shrinks each dimension of the values and constants that it touches. */
export type Reach = ReadonlyMap<string, readonly number[]>

/** The reach of one unit of each group, in the order of the groups. */
export function reachOf({ axes, groups }: Pick<Coupling, 'axes' | 'groups'>): Reach[] {
  const places = new Map<Int32Array, [name: string, axis: number][]>()
  for (const [name, list] of axes) {
    list.forEach(({ atoms }, axis) => {
      const known = places.get(atoms)
      if (known) known.push([name, axis])
      else places.set(atoms, [[name, axis]])
    })
  }
  return groups.map(({ spans }) => {
    const reach = new Map<string, number[]>()
    for (const [atoms, count] of spans) {
      for (const [name, axis] of places.get(atoms) ?? []) {
        const shrinks = reach.get(name) ?? (axes.get(name) ?? []).map(() => 0)
        shrinks[axis] = count
        reach.set(name, shrinks)
      }
    }
    return reach
  })
}
