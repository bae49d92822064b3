import { parseTopic, topic, topicFilter } from '@espalier/shared/topics.js'
import t from 'tap'

t.test('a topic is parsed back to what built it', (t) => {
  const text = topic('catalogue', { model: 'digits', version: 3 })
  t.equal(text, 'espalier/v1/models/digits/versions/3/catalogue')
  t.same(parseTopic(text), { name: 'catalogue', model: 'digits', version: '3' })
  t.same(parseTopic(topic('commandAck', { device: 'pi-4', n: 7 })), {
    name: 'commandAck',
    device: 'pi-4',
    n: '7',
  })
  t.end()
})

t.test('the literal topic wins over the variable one', (t) => {
  t.equal(parseTopic('espalier/v1/devices/a/reports/ack')?.name, 'reportsAck')
  t.equal(parseTopic('espalier/v1/devices/a/reports/12')?.name, 'reports')
  t.end()
})

t.test('what is no topic of ours parses to nothing', (t) => {
  for (const text of [
    '',
    'espalier/v1',
    'espalier/v1/devices//facts',
    'espalier/v1/devices/+/facts',
    'x/v1/devices/a/facts',
    'espalier/v1/devices/a/facts/',
    `espalier/v1/devices/${'a'.repeat(200)}/facts`,
  ])
    t.equal(parseTopic(text), undefined, text.slice(0, 60))
  t.end()
})

t.test('a level that would change the topic is refused', (t) => {
  for (const device of ['', '+', '#', 'a/b', '.hidden', 'ü'])
    t.throws(() => topic('facts', { device }), { code: 'TOPIC_INVALID' }, device)
  t.end()
})

t.test('a filter leaves open what is not given', (t) => {
  t.equal(topicFilter('reports'), 'espalier/v1/devices/+/reports/+')
  t.equal(topicFilter('reports', { device: 'a' }), 'espalier/v1/devices/a/reports/+')
  t.end()
})
