// A worker that never ends by itself; with `seed` 1 it goes on eating memory.
import { serve } from '@espalier/server/child/index.js'

serve(async (job, tell) => {
  tell({ stage: `working as ${process.pid}`, done: 0, total: 1 })
  const eaten = []
  while (true) {
    if (job.seed === 1) eaten.push(Buffer.alloc(2 ** 24, 1))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
})
