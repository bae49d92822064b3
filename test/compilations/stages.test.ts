import { StageLog } from '@espalier/server/compilations/stages.js'
import t from 'tap'

t.test('another stage, or the same stage on another variant, begins a new entry', async (t) => {
  const log = new StageLog()
  const begins = [
    log.add({ stage: 'prune', variant: 'a', done: 0, total: 2 }, 100),
    log.add({ stage: 'prune', variant: 'a', done: 2, total: 2, message: 'kept 3 of 8' }, 150),
    log.add({ stage: 'train', variant: 'a', done: 1, total: 9 }, 200),
    log.add({ stage: 'prune', variant: 'b', done: 1, total: 2 }, 300),
  ]
  t.same(begins, [true, false, true, true])
  t.same(log.stages, [
    { stage: 'prune', variant: 'a', done: 2, total: 2, message: 'kept 3 of 8', startedAt: 100, training: [] },
    { stage: 'train', variant: 'a', done: 1, total: 9, startedAt: 200, training: [] },
    { stage: 'prune', variant: 'b', done: 1, total: 2, startedAt: 300, training: [] },
  ])
})

t.test('a long training stays a short curve that spans all of it', async (t) => {
  const log = new StageLog()
  const total = 20_000
  for (let done = 1; done <= total; done++) {
    log.add({ stage: 'train', done, total, loss: 1 / done, accuracy: done / total }, done)
  }
  const { training } = log.stages[0]
  t.ok(training.length >= 40 && training.length < 96, `${training.length} points`)
  t.equal(training[0].done, 1)
  t.ok(training[training.length - 1].done > 0.95 * total, 'the end is there')
  t.ok(
    training.every((p) => p.loss === 1 / p.done && p.accuracy === p.done / total),
    'each point as it was told',
  )
})
