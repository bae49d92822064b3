import fc from 'fast-check'
import { grown, type Recipe, recipes } from '../support/random/network.js'
import { examine, type Seen } from '../support/random/properties.js'

export const about =
  'random networks of described operators: exact pruning, predicted shapes, lossless files, falling costs; --runs (500) --seed (1) --minutes (7)'

/** Each seed is one network; what fails is shrunk to the fewest steps that still fail. */
export default async function randomGraphs(options: Readonly<Record<string, string>>) {
  const runs = Number(options.runs ?? 500)
  const first = Number(options.seed ?? 1)
  const until = performance.now() + 60_000 * Number(options.minutes ?? 7)
  const seen: Seen[] = []
  const failures: { seed: number; recipe: Recipe; error: string }[] = []
  let seed = first
  for (; seed < first + runs && performance.now() < until; seed++) {
    const details = await fc.check(
      fc.asyncProperty(recipes, async (recipe) => void seen.push(await examine(grown(recipe), seed))),
      { seed, numRuns: 1 },
    )
    if (details.failed && details.counterexample) {
      const error = details.errorInstance instanceof Error ? details.errorInstance.message : ''
      failures.push({ seed, recipe: details.counterexample[0], error: error.slice(0, 300) })
    }
  }
  const mean = (of: (s: Seen) => number) => seen.reduce((sum, s) => sum + of(s), 0) / seen.length
  return {
    runs: seed - first,
    firstSeed: first,
    failures,
    prunable: seen.filter((s) => s.units > s.groups).length,
    meanUnits: mean((s) => s.units),
    meanLeastParams: mean((s) => s.least),
  }
}
