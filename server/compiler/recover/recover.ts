import type { Coupling, Unit } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { withConstants } from '../train/index.js'
import { affineOf, withAffine } from './affine.js'
import { openAdder } from './gram.js'
import { type Mixer, mixersOf, readingAxis, unknownsOf } from './mixer.js'
import { observe, type Question } from './observe.js'
import { outputError } from './output-error.js'
import { MOST_UNKNOWNS, ROWS_PER_UNKNOWN, refit } from './refit.js'
import { batchesOf } from './samples.js'
import { tieOf } from './tie.js'

export interface RecoverOptions {
  /** Inputs to look at; 1,024 by default, or as many as there are. */
  readonly samples?: number
  readonly seed?: number
  readonly on?: (done: number, total: number, layer: string) => void
  readonly signal?: AbortSignal
}

/** What repair did to one layer. Errors are shares of the variance of what it should compute, on held-out inputs. */
export interface LayerRepair {
  readonly node: string
  readonly errorBefore: number
  readonly errorAfter: number
  /** Output channels whose weights changed, of how many. */
  readonly accepted: number
  readonly of: number
}

export interface Recovered {
  readonly graph: Graph
  /** Whether the network's outputs came closer to the dense network's on held-out inputs; if not, `graph` is as given. */
  readonly better: boolean
  readonly samples: number
  /** Error of the network's outputs, as a share of their variance, on held-out inputs. */
  readonly errorBefore: number
  readonly errorAfter: number
  readonly layers: readonly LayerRepair[]
  /** Layers that were left as they are, and why. */
  readonly left: readonly { readonly node: string; readonly reason: string }[]
}

/**
 * Repairs a pruned network without labels: layer by layer in topological order, each from the activations of the prefix
 * that is already pruned and repaired, towards what the dense network computes (see `refit`); on a residual branch
 * towards what the sum should be, less the shortcut as it is now (He et al. 2017, section 3.3). Networks with one
 * float32 input. Blocks the event loop a batch, or a layer's solution, at a time.
 * @param removed the units without which `pruned` is `coupling`'s graph
 * @throws DATA_INVALID, DATA_SHAPE_MISMATCH, and the signal's reason
 */
export async function recover(
  coupling: Coupling,
  removed: Iterable<Unit>,
  pruned: Graph,
  data: Dataset,
  options: RecoverOptions = {},
): Promise<Recovered> {
  const { seed = 0, on, signal } = options
  const batches = batchesOf(pruned, data, options)
  const dense = coupling.graph
  const befores = new Map(mixersOf(dense).map((m) => [m.node.outputs[0], m]))
  const mixers = mixersOf(pruned)
  const kept = coupling.kept(removed)
  const waiting = new Set(mixers.map((m) => m.node.outputs[0]))
  const layers: LayerRepair[] = []
  const left: { node: string; reason: string }[] = []
  const adder = await openAdder()
  let graph = pruned
  try {
    for (const [i, { node: n }] of mixers.entries()) {
      on?.(i, mixers.length, n.name)
      const now = mixersOf(graph).find((m) => m.node.outputs[0] === n.outputs[0])
      const before = befores.get(n.outputs[0])
      if (!now || !before) continue
      const question = ask(now, before)
      if (typeof question === 'string') {
        left.push({ node: n.name, reason: question })
        waiting.delete(n.outputs[0])
        continue
      }
      const observed = await observe({ ...question, seed: seed + i }, batches, adder.add, signal)
      const result = refit(
        now,
        affineOf(graph, now),
        affineOf(dense, before),
        question.kept,
        question.tie,
        observed,
      )
      waiting.delete(n.outputs[0])
      const { errorBefore, errorAfter } = result
      const accepted = errorBefore > EXACT ? result.accepted : 0
      layers.push({ node: n.name, errorBefore, errorAfter, accepted, of: now.outputs })
      if (errorBefore > EXACT) graph = withConstants(graph, withAffine(graph, now, result, result.moments))
    }
  } finally {
    await adder.release()
  }
  const errorBefore = await outputError(dense, pruned, batches, signal)
  const errorAfter = await outputError(dense, graph, batches, signal)
  const better = errorAfter < errorBefore
  return {
    graph: better ? graph : pruned,
    better,
    samples: batches.samples,
    errorBefore,
    errorAfter,
    layers,
    left,
  }

  /** The question about a mixer, or why there is none. */
  function ask(now: Mixer, before: Mixer): Omit<Question, 'seed'> | string {
    const input = coupling.axes.get(before.input)
    const output = coupling.axes.get(before.node.outputs[0])
    if (!input || !output) return 'its shape is not known'
    const axis = now.channels === 'last' ? output.length - 1 : 1
    const positions = [...input, ...output].filter((_, d) => d !== axis && d !== input.length + axis)
    if (positions.some((a) => kept.count(a) !== a.atoms.length)) return 'its positions were pruned too'
    const outputs = kept.indices(output[axis])
    if (outputs.length !== now.outputs) return 'its outputs are not those that were expected'
    const reads = before.weight ? coupling.axes.get(before.weight)?.[readingAxis(before)] : undefined
    const columns = unknownsOf(now)
    return {
      dense,
      pruned: graph,
      before,
      now,
      kept: outputs,
      target: targetOf(now, before),
      tie: reads && tieOf(coupling, before, kept.indices(reads)),
      rows: Math.max(LEAST_ROWS, Math.ceil(2.5 * ROWS_PER_UNKNOWN * Math.min(columns, MOST_UNKNOWNS))),
    }
  }

  /** The dense network's value; where a sum follows whose other part is settled, what is missing to the dense sum. */
  function targetOf(now: Mixer, before: Mixer): Question['target'] {
    const { value } = affineOf(dense, before)
    const mine = affineOf(graph, now).value
    const add = graph.uses(mine) === 1 ? graph.consumers(mine)[0] : undefined
    const same = coupling.axes.get(add?.outputs[0] ?? '')
    if (mine !== value || add?.op !== 'Add' || add.domain !== '' || !same) return { value }
    const other = add.inputs.find((i) => i !== mine)
    const axes = other && !graph.constant(other) ? coupling.axes.get(other) : undefined
    if (!other || !axes || `${axes.map((a) => a.atoms.length)}` !== `${same.map((a) => a.atoms.length)}`)
      return { value }
    return dependsOn(graph, other, waiting) ? { value } : { value: add.outputs[0], minus: other }
  }
}

/** A layer whose error is below it computes what it should, but for rounding. */
const EXACT = 1e-9
const LEAST_ROWS = 8192

/** Whether a value is computed from any of some others. */
function dependsOn(graph: Graph, value: string, others: ReadonlySet<string>): boolean {
  const seen = new Set<string>()
  const open = [value]
  for (let v = open.pop(); v !== undefined; v = open.pop()) {
    if (others.has(v)) return true
    if (seen.has(v)) continue
    seen.add(v)
    open.push(...(graph.producer(v)?.inputs ?? []))
  }
  return false
}
