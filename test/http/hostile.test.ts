import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errorCodes } from '@espalier/shared'
import t from 'tap'
import { mutant } from '../support/hostile/mutant.js'
import { call, listen } from '../support/service.js'
import { tinyOnnx } from '../support/tiny.js'

t.test(
  'hostile uploads are problems with stable codes, leave nothing, and the service goes on',
  async (t) => {
    const folder = t.testdir()
    const { url, close } = await listen(folder)
    t.teardown(close)
    await call(url, 'POST', '/v1/models', { id: 'm' })
    const kinds = [
      'giant input',
      'giant constant',
      'cycle',
      'declared twice',
      'another element type',
      'data elsewhere',
      'data of a subgraph elsewhere',
      'deep nesting',
      'odd name',
      'function that calls itself',
      'truncated',
      'a length that lies',
      'nothing but noise',
    ]
    let stored = 0
    for (const kind of kinds) {
      let seed = 200_001
      while (mutant(seed).kind !== kind) seed++
      const answer = await call(url, 'POST', '/v1/models/m/versions', Buffer.from(mutant(seed).bytes))
      if (answer.status === 201) stored++
      else {
        t.match(
          answer,
          { status: 422, body: { status: 422, title: /./, detail: /.{10}/ } },
          `${kind}, seed ${seed}`,
        )
        t.ok((errorCodes as readonly unknown[]).includes(answer.body.code), `${kind}: ${answer.body.code}`)
        t.notMatch(answer.body.detail, /\n\s+at /, 'no stack')
      }
    }
    t.ok(stored < kinds.length / 2, `${stored} were harmless`)
    t.match(await call(url, 'POST', '/v1/models/m/versions', tinyOnnx), { status: 201 })
    t.same(readdirSync(join(folder, 'artifacts', 'incoming')), [], 'nothing is left of them')
  },
)
