// A worker that answers at once with one variant, for tests of what surrounds compiling.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '@espalier/server/child/index.js'

serve(async (job, tell) => {
  tell({ stage: 'prune', done: 1, total: 2 })
  const file = join(job.out, 'variant.onnx')
  writeFileSync(file, `variant of ${job.memoryBytes[0]}`)
  const times = job.profile && JSON.parse(readFileSync(job.profile, 'utf8'))
  const unknown = {
    macs: null,
    params: null,
    top1: null,
    n: null,
    agreement: null,
    p50Ms: null,
    recipe: null,
  }
  const figures = {
    ...unknown,
    memoryBudgetBytes: job.memoryBytes[0],
    fileBytes: 1,
    artifactBytes: 1,
    predictedRamBytes: null,
    measuredRamBytes: null,
  }
  return {
    dense: { top1: 0.99, macs: 10, params: 5, measuredRamBytes: null, p50Ms: null },
    variants: [
      { name: 'one', file, figures, ports: { inputs: [], outputs: [], preprocess: null, labels: null } },
    ],
    frontier: [{ memoryBytes: 4000, saliency: 1, macs: 1, params: 1 }],
    report: `# What was done${job.board ? ` for ${JSON.stringify(job.board)}` : ''}${times ? ` in ${job.latencyMs} ms on ${times.machine}` : ''}`,
  }
})
