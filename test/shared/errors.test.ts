import { asEspalierError, EspalierError } from '@espalier/shared'
import t from 'tap'

t.test('an unknown throw becomes INTERNAL and keeps its cause', (t) => {
  const cause = new Error('disk on fire')
  const e = asEspalierError(cause)
  t.equal(e.code, 'INTERNAL')
  t.equal(e.cause, cause)
  t.equal(asEspalierError(e), e, 'an EspalierError passes through')
  t.ok(e instanceof EspalierError)
  t.end()
})
