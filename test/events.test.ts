import { Events } from '@espalier/server/events.js'
import t from 'tap'

const device = (name: string) => ({ type: 'device.changed', device: name }) as const

t.test('watchers hear numbered events until they stop', (t) => {
  const events = new Events({ now: () => 7 })
  const heard: unknown[] = []
  const stop = events.watch((e) => heard.push(e))
  events.emit(device('a'))
  stop()
  events.emit(device('b'))
  t.same(heard, [{ type: 'device.changed', device: 'a', seq: 1, at: 7 }])
  t.end()
})

t.test('who was away reads what was missed, or learns that it is gone', (t) => {
  const events = new Events({ kept: 2 })
  for (const name of ['a', 'b', 'c']) events.emit(device(name))
  t.same(
    events.since(1)?.map((e) => e.seq),
    [2, 3],
  )
  t.same(events.since(3), [])
  t.equal(events.since(0), null, 'the first is no longer kept')
  t.equal(events.since(9), null, 'a number of another run')
  t.end()
})
