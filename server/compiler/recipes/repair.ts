import type { Unit } from '../analysis/index.js'
import type { Graph } from '../graph/index.js'
import { hasEnough, recover } from '../recover/index.js'
import { evaluate } from '../runtime/index.js'
import { refreshStatistics } from '../train/index.js'
import { isBetter } from './fine-tune.js'
import type { RepairResult } from './options.js'
import type { Run } from './run.js'

/**
 * What can be done for a pruned network before it is trained: its normalisations' statistics set anew, then repair
 * without labels, kept if it does better on what was held out.
 */
export async function repaired(
  run: Run,
  removed: ReadonlySet<Unit>,
  thinned: Graph,
  variant: string,
): Promise<{ graph: Graph; repair: RepairResult }> {
  const { options, subject, data, dense, judge, on, signal } = run
  const top1 = async (graph: Graph) => (await evaluate(graph, judge, { signal })).top1
  const top1Pruned = await top1(thinned)
  const small = await refreshStatistics(thinned, data.rest)
  const top1Statistics = small === thinned ? top1Pruned : await top1(small)
  if (!hasEnough(small, data.rest))
    return {
      graph: small,
      repair: { ...untouched, top1Pruned, top1Statistics, top1Repaired: top1Statistics },
    }
  const started = performance.now()
  const { graph, better, samples, errorBefore, errorAfter, layers } = await recover(
    subject.coupling,
    removed,
    small,
    data.rest,
    {
      seed: options.seed,
      on: (done, total, layer) =>
        on({ stage: 'recover', done, total, message: `repairing '${layer}' without labels`, variant }),
      signal,
    },
  )
  const seconds = (performance.now() - started) / 1000
  const kept = better && (await isBetter(graph, small, dense, data.held, signal))
  return {
    graph: kept ? graph : small,
    repair: {
      top1Pruned,
      top1Statistics,
      top1Repaired: better ? await top1(graph) : top1Statistics,
      kept,
      samples,
      layers: layers.filter((l) => l.accepted > 0).length,
      errorBefore,
      errorAfter,
      seconds,
    },
  }
}

/** Of a network for whose repair there are too few samples. */
export const untouched = {
  kept: false,
  samples: 0,
  layers: 0,
  errorBefore: null,
  errorAfter: null,
  seconds: 0,
} as const
