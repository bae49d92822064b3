import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '@espalier/shared'
import { isLabelled, preprocessOf, withPreprocess } from '../data/index.js'
import type { VariantLimits } from '../limits.js'
import { writeModelFile } from '../onnx/index.js'
import { agreement, evaluate } from '../runtime/index.js'
import { pruned, verifyShapes } from '../surgery/index.js'
import { Budgets, type Choice } from './budgets.js'
import { keptUnits } from './kept.js'
import { sizesOf } from './measure.js'
import { corrected } from './meet-memory.js'
import type { RepairResult, VariantResult } from './options.js'
import { repaired } from './repair.js'
import { accuracyOf, DEFAULTS, nameOf, type Run, scratch, tuned } from './run.js'

/**
 * One variant: thins the network until its limits hold, fine-tunes, measures, and thins further where it was measured
 * above one of them. Written to the run's folder only when all hold.
 */
export async function variantResult(run: Run, asked: VariantLimits): Promise<VariantResult> {
  const { options, subject, on, signal, judge, dense, denseAnswers, points } = run
  const shapes = options.load?.shapes
  const { coupling } = subject
  const variant = nameOf(options, asked)
  const path = join(options.out, `${variant}.onnx`)
  const temporary = scratch(run)
  const budgets = new Budgets(run, asked, temporary)
  try {
    for (;;) {
      const ram = corrected(points)
      const found = await budgets.choose(variant)
      const thinned = withPreprocess(pruned(subject, found.removed), preprocessOf(dense))
      await verifyShapes(subject, found.removed, thinned)
      const { graph: small, repair } = await repaired(run, found.removed, thinned, variant)
      const { graph, better } = await tuned(run, small, variant)
      on({ stage: 'evaluate', done: 0, total: 1, message: 'evaluating', variant })
      const answers = await evaluate(graph, judge, { signal })
      await writeModelFile(graph, temporary)
      on({ stage: 'measure', done: 0, total: 1, message: 'measuring memory and latency', variant })
      const predict = (predictedRamBytes: number) => ram({ ...found.footprint, predictedRamBytes })
      const sizes = await sizesOf(graph, temporary, predict, shapes, signal)
      // Measured again it may be larger: take more away, and do not try that much again.
      if (!budgets.hold(found, sizes)) continue
      await rename(temporary, path)
      const kept = keptUnits(coupling, found.removed)
      const budget = asked.memoryBytes
      const used = budget === undefined ? 1 : sizes.measuredRamBytes / budget
      return {
        name: variant,
        file: path,
        limits: asked,
        memoryBudgetBytes: budget ?? null,
        bound: found.bound,
        saliency: found.saliency,
        ...sizes,
        artifactBytes: sizes.fileBytes,
        expectedMs: run.latency ? found.costs.latency : null,
        ...accuracyOf(run, answers),
        top1Pruned: repair.top1Pruned,
        repair,
        agreement: agreement(answers, denseAnswers),
        groups: coupling.groups.map(({ label, units }, g) => ({ label, kept: kept[g], of: units.length })),
        blocks: coupling.blocks.map((b) => ({ label: b.label, kept: !found.removed.has(b) })),
        ...(used < 0.9 && { unused: whyUnused(found, budget) }),
        recipe: describeRecipe(run, found.round, repair, better),
      }
    }
  } finally {
    await rm(temporary, { force: true })
  }
}

function whyUnused({ bound, largest, measured = 0 }: Choice, budget = 0): string {
  if (bound === null) return 'the dense network itself meets every limit'
  if (bound !== 'memory') return `the limit on ${bound} leaves no more`
  if (largest) return 'no single further unit fits, every larger form was measured above the budget'
  if (measured >= 0.9 * budget)
    return `it took ${formatBytes(measured)} when it was chosen, and less once it was trained`
  return 'of the candidates that were measured, every larger one was above the budget'
}

function describeRecipe(
  { options, criterion, data, dense, teacher, elsewhere }: Run,
  round: number,
  { kept, samples }: RepairResult,
  better: boolean,
): string {
  const { epochs = DEFAULTS.epochs, seed = DEFAULTS.seed, training } = options
  const isTaught = training?.teacherShare !== 0 || !isLabelled(data.rest)
  const taught = ` with the dense network${teacher === dense ? '' : ', so trained,'} as teacher`
  const tuning =
    epochs === 0
      ? 'not fine-tuned'
      : better
        ? `fine-tuned ${epochs} epochs on ${data.rest.count} samples${isTaught ? taught : ''}`
        : 'fine-tuned, but better before on what was held out, and kept so'
  const repair = kept
    ? `repaired from ${samples} inputs`
    : samples > 0
      ? 'repaired, but better before, and kept so'
      : 'not repaired, for too few samples'
  const latency = elsewhere === undefined ? '' : `; latency as expected of ${elsewhere}`
  return `units by ${criterion}, multiples of ${round}; ${repair}; ${tuning}${latency}; seed ${seed}`
}
