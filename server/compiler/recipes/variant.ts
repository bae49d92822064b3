import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, allocate, BudgetUnreachable, type Limits, type Thinning } from '../budget/index.js'
import { preprocessOf, withPreprocess } from '../data/index.js'
import type { VariantLimits } from '../limits.js'
import { writeModelFile } from '../onnx/index.js'
import { agreement, evaluate } from '../runtime/index.js'
import { pruned, verifyShapes } from '../surgery/index.js'
import { ramOf, sizesOf } from './measure.js'
import { corrected, meetMemory } from './meet-memory.js'
import type { RepairResult, VariantResult } from './options.js'
import { repaired } from './repair.js'
import { accuracyOf, DEFAULTS, nameOf, type Run, scratch, tuned } from './run.js'

/**
 * One variant: thins the network until its limits hold, fine-tunes, measures, and thins further where it was measured
 * above its memory. Written to the run's folder only when it holds.
 */
export async function variantResult(run: Run, order: Thinning, asked: VariantLimits): Promise<VariantResult> {
  const { options, subject, on, signal, judge, dense, denseAnswers, points } = run
  const shapes = options.load?.shapes
  const { coupling } = subject
  const variant = nameOf(options, asked)
  const whole = after(coupling, [], 0).footprint
  const limits: Limits = {
    memoryBytes: asked.memoryBytes,
    macs: asked.macs === undefined ? undefined : asked.macs * whole.macs,
    params: asked.params === undefined ? undefined : asked.params * whole.params,
  }
  const budget = asked.memoryBytes
  const path = join(options.out, `${variant}.onnx`)
  const temporary = scratch(run)
  try {
    let barred = order
    for (;;) {
      let tried = 0
      const ram = corrected(points)
      const found =
        budget === undefined
          ? allocate(coupling, barred, limits)
          : await meetMemory(coupling, barred, { ...limits, memoryBytes: budget }, points, (candidate) => {
              const message = `measuring candidate ${++tried}: ${Math.round((100 * candidate.footprint.macs) / whole.macs)} % of the MACs`
              on({ stage: 'measure', done: tried, total: 0, message, variant })
              return ramOf(pruned(subject, candidate.removed), temporary, budget, shapes, signal)
            })
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
      if (budget !== undefined && sizes.measuredRamBytes > budget) {
        // Measured again it was larger: take more away, and do not try that much again.
        if (found.steps >= barred.length)
          throw new BudgetUnreachable('memory', budget, sizes.measuredRamBytes)
        points.push({ predicted: found.footprint.predictedRamBytes, measured: sizes.measuredRamBytes })
        barred = [barred.slice(0, found.steps + 1).flat(), ...barred.slice(found.steps + 1)]
        continue
      }
      await rename(temporary, path)
      const used = budget === undefined ? 1 : sizes.measuredRamBytes / budget
      return {
        name: variant,
        file: path,
        limits: asked,
        memoryBudgetBytes: budget ?? null,
        ...sizes,
        artifactBytes: sizes.fileBytes,
        ...accuracyOf(run, answers),
        top1Pruned: repair.top1Pruned,
        repair,
        agreement: agreement(answers, denseAnswers),
        groups: coupling.groups.map(({ label, units }) => ({
          label,
          kept: units.filter((u) => !found.removed.has(u)).length,
          of: units.length,
        })),
        ...(used < 0.85 && { unused: whyUnused(found.steps) }),
        recipe: describeRecipe(run, repair, better),
      }
    }
  } finally {
    await rm(temporary, { force: true })
  }
}

const whyUnused = (steps: number): string =>
  steps === 0
    ? 'the dense network itself needs less than the budget'
    : 'the next larger form, a multiple of the rounding more in one group, was measured above the budget'

function describeRecipe({ options, criterion, data }: Run, { kept, samples }: RepairResult, better: boolean) {
  const { round = DEFAULTS.round, epochs = DEFAULTS.epochs, seed = DEFAULTS.seed } = options
  const tuning =
    epochs === 0
      ? 'not fine-tuned'
      : better
        ? `fine-tuned ${epochs} epochs on ${data.rest.count} samples with the dense network as teacher`
        : 'fine-tuned, but better before on what was held out, and kept so'
  const repair = kept
    ? `repaired from ${samples} inputs`
    : samples > 0
      ? 'repaired, but better before, and kept so'
      : 'not repaired, for too few samples'
  return `units by ${criterion}, multiples of ${round}; ${repair}; ${tuning}; seed ${seed}`
}
