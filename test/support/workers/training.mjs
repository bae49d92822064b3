// A worker that goes through two stages and then trains until it is stopped, telling loss and accuracy.
import { serve } from '@espalier/server/child/index.js'

serve(async (_job, tell) => {
  tell({ stage: 'read', done: 1, total: 1, message: 'reading model and data' })
  tell({ stage: 'prune', done: 1, total: 1, variant: 'one' })
  for (let done = 1; ; done++) {
    tell({ stage: 'train', variant: 'one', done, total: 1000, loss: 2 / done, accuracy: 1 - 1 / (done + 1) })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
})
