import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { trainableWeights } from './parameters.js'

/**
 * The weights that patterns name: each is the name of a weight, or of a node that uses it, `*` standing for any
 * characters.
 * @throws OPTION_INVALID for a pattern that matches nothing, or where nothing is left to train
 */
export function frozenWeights(graph: Graph, patterns: readonly string[]): ReadonlySet<string> {
  const weights = [...trainableWeights(graph).keys()]
  const users = new Map<string, string[]>()
  for (const n of graph.nodes)
    for (const input of n.inputs) users.set(input, [...(users.get(input) ?? []), n.name])
  const frozen = new Set<string>()
  for (const pattern of patterns) {
    const asked = new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's')
    const found = weights.filter((w) => [w, ...(users.get(w) ?? [])].some((name) => asked.test(name)))
    if (found.length === 0)
      throw new EspalierError(
        'OPTION_INVALID',
        `no weight, and no node that uses one, is called '${pattern}'; 'espalier inspect MODEL' names them`,
      )
    for (const name of found) frozen.add(name)
  }
  if (weights.length > 0 && frozen.size === weights.length)
    throw new EspalierError(
      'OPTION_INVALID',
      `'${patterns.join("', '")}' freeze every weight; nothing is left to train`,
    )
  return frozen
}

const escaped = (text: string) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
