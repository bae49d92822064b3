import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeasuringProcess } from '@espalier/shared/measure/index.js'
import type { Golden } from '@espalier/shared/messages/index.js'
import { serve } from '../child/index.js'
import { limitsHere, type VariantLimits } from '../compiler/limits.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { variantsOf } from '../compiler/recipe.js'
import { fit, nameOf, profile, type VariantResult } from '../compiler/recipes/index.js'
import { measuringChild } from '../compiler/runtime/index.js'
import type { Job, JobProgress, JobResult } from './job.js'
import { portsOf } from './ports.js'

/**
 * The process that compiles: fits the model of one job to its budgets. Those for a board become budgets here, where
 * candidates are measured, by what such boards reported; variants are named and offered by what was asked.
 */
serve<Job, JobProgress, JobResult>(async (job, tell, signal) => {
  const { model, out, data, recipe, criterion, epochs, seed } = job
  const asked = variantsOf(job.recipe, job)
  const variants = asked.map((limits) => limitsHere(limits, job.board))
  const times = job.profile ?? (await measuredProfile(job, variants, tell, signal))
  const options = {
    model,
    name: '',
    out,
    data,
    eval: job.eval,
    variants,
    profile: times,
    recipe,
    criterion,
    epochs,
    seed,
  }
  const { dense, variants: made, frontier, report } = await fit(options, tell, signal)
  return {
    dense: {
      top1: dense.top1Reference ?? dense.top1,
      macs: dense.macs,
      params: dense.params,
      measuredRamBytes: dense.measuredRamBytes,
      p50Ms: dense.p50Ms,
    },
    variants: await Promise.all(made.map((v, i) => described(v, asked[i], job))),
    frontier,
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

/** A file of operator times of this machine, where limits on latency want one. */
async function measuredProfile(
  { model, out }: Job,
  variants: readonly VariantLimits[],
  tell: (progress: JobProgress) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (variants.every((v) => v.latencyMs === undefined)) return undefined
  const { times } = await profile(await readModelFile(model), {
    on: (message, done = 0, total = 1) => tell({ stage: 'profile', done, total, message }),
    signal,
  })
  const file = join(out, 'profile.json')
  await writeFile(file, JSON.stringify(times))
  return file
}

async function described(
  { file, classes, ...v }: VariantResult,
  asked: VariantLimits,
  { model, board, recipe }: Job,
): Promise<JobResult['variants'][number]> {
  const labels = classes.length > 0 ? classes.map((c) => c.name) : null
  return {
    name: nameOf({ model, name: '', recipe }, asked),
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
      expectedMs: v.expectedMs,
      recipe: board ? `${v.recipe}; memory as ${board.name} is expected to need it` : v.recipe,
    },
  }
}
