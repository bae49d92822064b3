import { serve } from '../child/index.js'
import { variantLimits } from '../compiler/limits.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { fit, type VariantResult } from '../compiler/recipes/index.js'
import type { Job, JobProgress, JobResult } from './job.js'
import { portsOf } from './ports.js'

/** The process that compiles: fits the model of one job to its budgets. */
serve<Job, JobProgress, JobResult>(async (job, tell, signal) => {
  const { model, out, data, criterion, epochs, seed } = job
  const variants = variantLimits(job)
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
    variants: await Promise.all(made.map(described)),
    report,
  }
})

async function described({
  name,
  file,
  classes,
  ...v
}: VariantResult): Promise<JobResult['variants'][number]> {
  const labels = classes.length > 0 ? classes.map((c) => c.name) : null
  return {
    name,
    file,
    ports: portsOf(await readModelFile(file), labels),
    figures: {
      memoryBudgetBytes: v.memoryBudgetBytes,
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
      recipe: v.recipe,
    },
  }
}
