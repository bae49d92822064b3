import { MeasuringProcess } from '@espalier/shared/measure/index.js'
import type { Golden } from '@espalier/shared/messages/index.js'
import { serve } from '../child/index.js'
import { limitsHere, type VariantLimits, variantLimits } from '../compiler/limits.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { fit, nameOf, type VariantResult } from '../compiler/recipes/index.js'
import { measuringChild } from '../compiler/runtime/index.js'
import type { Job, JobProgress, JobResult } from './job.js'
import { portsOf } from './ports.js'

/**
 * The process that compiles: fits the model of one job to its budgets. Those for a board become budgets here, where
 * candidates are measured, by what such boards reported; variants are named and offered by what was asked.
 */
serve<Job, JobProgress, JobResult>(async (job, tell, signal) => {
  const { model, out, data, criterion, epochs, seed } = job
  const asked = variantLimits(job)
  const variants = asked.map((limits) => limitsHere(limits, job.board))
  const options = { model, name: '', out, data, eval: job.eval, variants, criterion, epochs, seed }
  const { dense, variants: made, report } = await fit(options, tell, signal)
  return {
    dense: {
      top1: dense.top1Reference ?? dense.top1,
      macs: dense.macs,
      params: dense.params,
      measuredRamBytes: dense.measuredRamBytes,
      p50Ms: dense.p50Ms,
    },
    variants: await Promise.all(made.map((v, i) => described(v, asked[i], job))),
    report,
  }
})

/** What devices hold the variant's answers against. */
async function answersOf(file: string): Promise<Golden> {
  const measuring = await MeasuringProcess.start({ child: measuringChild })
  try {
    await measuring.load(file)
    return await measuring.golden()
  } finally {
    measuring.close()
  }
}

async function described(
  { file, classes, ...v }: VariantResult,
  asked: VariantLimits,
  { model, board }: Job,
): Promise<JobResult['variants'][number]> {
  const labels = classes.length > 0 ? classes.map((c) => c.name) : null
  return {
    name: nameOf({ model, name: '' }, asked),
    file,
    ports: { ...portsOf(await readModelFile(file), labels), golden: await answersOf(file) },
    figures: {
      memoryBudgetBytes: asked.memoryBytes ?? null,
      bound: v.bound,
      macs: v.macs,
      params: v.params,
      fileBytes: v.fileBytes,
      artifactBytes: v.artifactBytes,
      predictedRamBytes: v.predictedRamBytes,
      measuredRamBytes: v.measuredRamBytes,
      top1: v.top1,
      n: v.n,
      agreement: v.agreement,
      p50Ms: v.p50Ms,
      recipe: board ? `${v.recipe}; memory as ${board.name} is expected to need it` : v.recipe,
    },
  }
}
