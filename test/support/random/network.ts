import { xorshift } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import fc from 'fast-check'
import { Growth } from './growth.js'
import { joins } from './joins.js'
import { layers } from './layers.js'
import { rarities } from './rarities.js'

const steps = { ...layers, ...joins, ...rarities }
const names = Object.keys(steps)

/** What a network grows by: each entry a step's name and the seed of what it draws. Shrinking takes steps away. */
export type Recipe = readonly (readonly [step: string, seed: number])[]

/** Two to fourteen steps; at least one makes channels that can go. */
export const recipes: fc.Arbitrary<Recipe> = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 1, arbitrary: fc.constant('conv') },
      { weight: 4, arbitrary: fc.constantFrom(...names) },
    ),
    fc.nat(999),
  ),
  { minLength: 2, maxLength: 14 },
)

/** The network: an image [n, 3, 8, 8] through a convolution and the steps, to classes and, by chance, a map as a second output. */
export function grown(recipe: Recipe): Graph {
  const g = new Growth(8, 3)
  for (const [step, seed] of [['conv', 1] as const, ...recipe]) {
    const random = xorshift(seed + 1)
    random()
    g.draw(random)
    steps[step](g)
  }
  const { name, channels } = g.last
  const classes = g.net.head(name, channels)
  const map = g.maps[g.pick(g.maps.length - 1) + 1]
  return recipe.length % 3 === 0 ? g.net.build(classes, g.net.op('Relu', [map.name])) : g.net.build(classes)
}
