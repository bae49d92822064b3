import { type Dataset, isLabelled } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { evaluate } from '../runtime/index.js'
import { type TrainOptions, type TrainProgress, train } from '../train/index.js'

export interface FineTuned {
  readonly graph: Graph
  /** Whether training made it better on what was held out; where it did not, the graph is as it came. */
  readonly better: boolean
}

/**
 * Fine-tunes by cross-entropy and by distillation from the dense network (Hinton et al. 2015, "Distilling the Knowledge
 * in a Neural Network"), and keeps the result only if it does better on samples held out: by top-1, then by loss,
 * without labels, where there must be one, by agreement with the teacher.
 */
export async function fineTune(
  graph: Graph,
  data: { readonly rest: Dataset; readonly held: Dataset },
  options: TrainOptions,
  on: (p: TrainProgress) => void,
  signal?: AbortSignal,
): Promise<FineTuned> {
  const { graph: tuned } = await train(graph, data.rest, options, on, signal)
  const better = await isBetter(tuned, graph, options.teacher?.graph ?? graph, data.held, signal)
  return { graph: better ? tuned : graph, better }
}

/**
 * Whether a network does better than another on samples held out: by top-1, then by loss; without labels by how often
 * it answers as the teacher does.
 */
export async function isBetter(
  graph: Graph,
  than: Graph,
  teacher: Graph,
  heldOut: Dataset,
  signal?: AbortSignal,
): Promise<boolean> {
  const held = await labelled(heldOut, teacher, signal)
  const before = await evaluate(than, held, { signal })
  const now = await evaluate(graph, held, { signal })
  const gain = (now.top1 ?? 0) - (before.top1 ?? 0)
  return gain > 0 || (gain === 0 && (now.loss ?? 0) < (before.loss ?? 0))
}

/** Unlabelled samples take the teacher's answers for labels. */
async function labelled(data: Dataset, teacher: Graph, signal?: AbortSignal): Promise<Dataset> {
  if (isLabelled(data)) return data
  return { ...data, labels: (await evaluate(teacher, data, { signal })).predictions }
}
