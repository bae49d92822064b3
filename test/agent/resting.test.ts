import { Resting } from '@espalier/agent/resting.js'
import t from 'tap'

t.test('a variant that failed rests, for twice as long each time, up to the longest pause', async (t) => {
  let now = 0
  const resting = new Resting(() => now, [200, 500])
  for (const pauseMs of [200, 400, 500, 500]) {
    resting.failed('a')
    t.equal(resting.nextMs(now), pauseMs)
    now += pauseMs
    t.same(resting.resting(), [])
  }
  t.equal(resting.nextMs(now), Number.POSITIVE_INFINITY, 'it may be tried, and nothing is waited for')
})

t.test('a rest that ends while something else is done is not slept through', async (t) => {
  let now = 0
  const resting = new Resting(() => now, [200, 1000])
  resting.failed('a')
  const chosen = now
  t.same(resting.resting(), ['a'], 'it was not to be chosen')
  now += 300
  t.equal(resting.nextMs(chosen), 0)
})
