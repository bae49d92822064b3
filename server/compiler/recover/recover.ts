import type { Coupling, Unit } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { withConstants } from '../train/index.js'
import { affineOf, withAffine } from './affine.js'
import { type Mixer, mixersOf, readingAxis, unknownsOf } from './mixer.js'
import { type Observed, observe, type Question, wantedBy } from './observe.js'
import { outputError } from './output-error.js'
import { openProducts } from './products.js'
import { rangeOf } from './range.js'
import { MOST_UNKNOWNS, ROWS_PER_UNKNOWN, refit } from './refit.js'
import { Replay } from './replay.js'
import { batchesOf } from './samples.js'
import { tieOf } from './tie.js'

export interface RecoverOptions {
  /** Inputs to look at; 1,024 by default, or as many as there are. */
  readonly samples?: number
  readonly seed?: number
  /** Bytes of values kept from layer to layer, 512 MiB by default: with fewer it takes longer. */
  readonly keepBytes?: number
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
  const { seed = 0, keepBytes = KEEP_BYTES, on, signal } = options
  const batches = batchesOf(pruned, data, options)
  const dense = coupling.graph
  const befores = new Map(mixersOf(dense).map((m) => [m.node.outputs[0], m]))
  const mixers = mixersOf(pruned).filter((m) => befores.has(m.node.outputs[0]))
  const kept = coupling.kept(removed)
  const questions = mixers.map((now, i) =>
    ask(now, befores.get(now.node.outputs[0]) ?? now, new Set(mixers.slice(i).map((m) => m.node.outputs[0]))),
  )
  const layers: LayerRepair[] = []
  const left: { node: string; reason: string }[] = []
  const room = { left: keepBytes }
  const sides = { dense: new Replay(batches, room), pruned: new Replay(batches, room) }
  const products = await openProducts()
  let graph = pruned
  try {
    for (const [i, now] of mixers.entries()) {
      const { name } = now.node
      on?.(i, mixers.length, name)
      const question = questions[i]
      if (typeof question === 'string') {
        left.push({ node: name, reason: question })
        continue
      }
      const observed = await see({ ...question, seed: seed + i }, questions.slice(i + 1))
      const result = await refit(
        now,
        affineOf(graph, now),
        affineOf(dense, question.before),
        question.kept,
        question,
        observed,
        products,
      )
      const { errorBefore, errorAfter } = result
      const accepted = errorBefore > EXACT ? result.accepted : 0
      layers.push({ node: name, errorBefore, errorAfter, accepted, of: now.outputs })
      if (errorBefore > EXACT) graph = withConstants(graph, withAffine(graph, now, result, result.moments))
    }
  } finally {
    await products.release()
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

  async function see(question: Question, later: readonly (Asked | string)[]): Promise<Observed> {
    const wanted = wantedBy(question)
    const after = later.flatMap((q) => (typeof q === 'string' ? [] : wantedBy(q)))
    const was = await sides.dense.open(
      dense,
      wanted.dense,
      after.flatMap((w) => w.dense),
    )
    try {
      const is = await sides.pruned.open(
        graph,
        wanted.pruned,
        after.flatMap((w) => w.pruned),
      )
      try {
        return await observe(question, { dense: was, pruned: is }, batches, products.multiply, signal)
      } finally {
        await is.close()
      }
    } finally {
      await was.close()
    }
  }

  /** The question about a mixer, or why there is none. */
  function ask(now: Mixer, before: Mixer, waiting: ReadonlySet<string>): Asked | string {
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
    const target = targetOf(now, before, waiting)
    return {
      before,
      now,
      kept: outputs,
      target,
      range: rangeOf(pruned, target.value),
      tie: reads && tieOf(coupling, before, kept.indices(reads)),
      rows: Math.max(LEAST_ROWS, Math.ceil(5 * ROWS_PER_UNKNOWN * Math.min(columns, MOST_UNKNOWNS))),
    }
  }

  /** The dense network's value; where a sum follows whose other part is settled, what is missing to the dense sum. */
  function targetOf(now: Mixer, before: Mixer, waiting: ReadonlySet<string>): Question['target'] {
    const { value } = affineOf(dense, before)
    const mine = affineOf(pruned, now).value
    const add = pruned.uses(mine) === 1 ? pruned.consumers(mine)[0] : undefined
    const same = coupling.axes.get(add?.outputs[0] ?? '')
    if (mine !== value || add?.op !== 'Add' || add.domain !== '' || !same) return { value }
    const other = add.inputs.find((i) => i !== mine)
    const axes = other && !pruned.constant(other) ? coupling.axes.get(other) : undefined
    if (!other || !axes || `${axes.map((a) => a.atoms.length)}` !== `${same.map((a) => a.atoms.length)}`)
      return { value }
    return dependsOn(pruned, other, waiting) ? { value } : { value: add.outputs[0], minus: other }
  }
}

/** A question but for the draw of its rows. */
type Asked = Omit<Question, 'seed'>

const KEEP_BYTES = 2 ** 29
/** A layer whose error is below it computes what it should, but for rounding. */
const EXACT = 1e-9
const LEAST_ROWS = 8192

/** Whether a value is computed from any of some others. */
function dependsOn(pruned: Graph, value: string, others: ReadonlySet<string>): boolean {
  const seen = new Set<string>()
  const open = [value]
  for (let v = open.pop(); v !== undefined; v = open.pop()) {
    if (others.has(v)) return true
    if (seen.has(v)) continue
    seen.add(v)
    open.push(...(pruned.producer(v)?.inputs ?? []))
  }
  return false
}
