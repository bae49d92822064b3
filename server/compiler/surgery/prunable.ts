import { EspalierError } from '@espalier/shared'
import {
  type Coupling,
  captureShapes,
  constants,
  couple,
  type InputShapes,
  type Shapes,
  type Unit,
} from '../analysis/index.js'
import { type Graph, numbersOf } from '../graph/index.js'
import { foldSizes } from './fold-sizes.js'
import { gatherMoves } from './gather-moves.js'
import { removeUnits, touched } from './remove-units.js'
import { rejoinConstants, type Separated, separateConstants } from './separate-constants.js'
import { sizedByData } from './sized-by-data.js'
import { takeApart } from './take-apart.js'

/** A network with everything that pruning has to know about it. */
export interface Prunable {
  readonly original: Graph
  readonly coupling: Coupling
  readonly separated: Separated
}

/**
 * Kept indices by constant, then by dimension: what pruning did, in the original file's names. Where a block went,
 * nothing is kept of the constants whose zeros make its branch zero; others that only it read are not in the file.
 */
export type Plan = Record<string, Record<string, number[]>>

/**
 * Captures shapes and finds the units. `shapes` gives concrete sizes for inputs with dynamic axes.
 * @throws WEIGHT_NOT_FINITE for a NaN among the weights, and what `captureShapes` throws.
 */
export async function prunable(original: Graph, shapes: InputShapes = {}): Promise<Prunable> {
  refuseNaN(original)
  const apart = takeApart(original)
  const captured = await captureShapes(apart, shapes)
  const separated = separateConstants(gatherMoves(foldSizes(apart, captured), captured))
  return { original, separated, coupling: couple(separated.graph, withConstants(captured, separated.graph)) }
}

/** The network without these units; shared constants that stayed alike are one again. The same object if none go. */
export function pruned({ original, coupling, separated }: Prunable, removed: Iterable<Unit>): Graph {
  const gone = [...removed]
  return gone.length === 0 ? original : rejoinConstants(removeUnits(coupling, gone), separated.originals)
}

/**
 * Runs the pruned network with every intermediate exposed and compares each shape with what was predicted.
 * @returns the shapes of the pruned network
 * @throws INTERNAL if one differs: the pruned network must then not be used.
 */
export async function verifyShapes(
  { coupling }: Prunable,
  removed: Iterable<Unit>,
  graph: Graph,
): Promise<Shapes> {
  const expected = coupling.dims(removed)
  const shapes = await captureShapes(graph, coupling.shapes.inputs)
  const free = sizedByData(graph)
  for (const [name, real] of shapes.dims) {
    const said = expected.get(name)
    const before = coupling.shapes.dims.get(name)
    const agrees =
      `${said}` === `${real}` ||
      // Sizes that pruning leaves alone may still be others, where they depend on the weights.
      (free.has(name) &&
        said?.length === real.length &&
        said.every((s, d) => s === real[d] || s === before?.[d]))
    if (said && !graph.constant(name) && !agrees) {
      throw new EspalierError(
        'INTERNAL',
        `after pruning '${name}' has the shape [${real}] where [${said}] was expected; nothing was written`,
      )
    }
  }
  return shapes
}

/** A constant used by several nodes is named once if all its copies lose the same, else `name@output` of each consumer. */
export function planOf({ coupling, separated }: Prunable, removed: Iterable<Unit>): Plan {
  const gone = [...removed]
  const left = coupling.without(gone)
  const entries = new Map<string, Record<string, number[]>>()
  for (const [name, , positions] of touched(coupling, gone)) {
    if (left.uses(name) === 0 && !positions.some((p) => p?.length === 0)) continue
    entries.set(name, Object.fromEntries(positions.flatMap((p, d) => (p ? [[String(d), p]] : []))))
  }
  const copies = new Map<string, string[]>()
  for (const [copy, original] of separated.originals)
    copies.set(original, [...(copies.get(original) ?? []), copy])
  const plan: Plan = {}
  for (const [original, names] of copies) {
    const texts = new Set(names.map((name) => JSON.stringify(entries.get(name))))
    const first = entries.get(names[0])
    if (texts.size > 1 || !first) continue
    plan[original] = first
    for (const name of names) entries.delete(name)
  }
  for (const [name, positions] of entries) plan[name] = positions
  return plan
}

/** The shapes with constants added that the run did not have. */
function withConstants(shapes: Shapes, graph: Graph): Shapes {
  const dims = new Map(shapes.dims)
  const integers = new Map(shapes.integers)
  for (const [name, t] of constants(graph)) {
    if (dims.has(name)) continue
    dims.set(name, t.dims)
    if ((t.dtype === 'int64' || t.dtype === 'int32') && t.dims.length <= 1) integers.set(name, numbersOf(t))
  }
  return { ...shapes, dims, integers }
}

function refuseNaN(graph: Graph): void {
  for (const [name, t] of constants(graph)) {
    const isFloat = t.dtype === 'float32' || t.dtype === 'float64'
    const half = t.dtype === 'float16' || t.dtype === 'bfloat16'
    const values = isFloat ? (t.data as Float32Array) : half ? numbersOf(t) : []
    const at = values.findIndex(Number.isNaN)
    if (at >= 0) {
      throw new EspalierError(
        'WEIGHT_NOT_FINITE',
        `weight '${name}' has NaN at element ${at}; its training diverged: export a sound checkpoint`,
      )
    }
  }
}
