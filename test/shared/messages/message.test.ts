import { encode, parse, presence, reports, reportsAck } from '@espalier/shared/messages/index.js'
import t from 'tap'

t.test('a message is read back, and unknown properties do no harm', (t) => {
  t.same(parse(presence, encode(presence, { online: true, epoch: 3 })), { online: true, epoch: 3 })
  t.match(parse(presence, Buffer.from('{"online":false,"epoch":1,"mood":"fine"}')), {
    online: false,
    epoch: 1,
  })
  t.end()
})

t.test('garbage is refused and the property that is wrong is named', (t) => {
  const refused = (text: string, expected: { code: string; message?: RegExp }) =>
    t.throws(() => parse(presence, Buffer.from(text)), expected, JSON.stringify(text.slice(0, 40)))
  for (const text of ['', 'null', '[]', '"x"', '{', '\u0000\u00ff', '[[[[[[[['.repeat(60)])
    refused(text, { code: 'MESSAGE_INVALID' })
  refused('{"online":true}', { code: 'MESSAGE_INVALID', message: /epoch/ })
  refused('{"online":true,"epoch":-1}', { code: 'MESSAGE_INVALID', message: /\/epoch/ })
  refused('{"online":true,"epoch":1e99}', { code: 'MESSAGE_INVALID', message: /\/epoch/ })
  refused(' '.repeat(2000), { code: 'MESSAGE_TOO_LARGE', message: /1024/ })
  t.end()
})

t.test('a message of our own that breaks its schema is not sent', (t) => {
  t.throws(() => encode(reports, { reports: [] }), { code: 'MESSAGE_INVALID' })
  t.throws(() => encode(reportsAck, { stored: ['a b'] }), { code: 'MESSAGE_INVALID' })
  t.end()
})
