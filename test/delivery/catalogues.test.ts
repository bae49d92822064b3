import { appendFileSync } from 'node:fs'
import { lifetimeMs } from '@espalier/server/delivery/index.js'
import { catalogue } from '@espalier/shared/messages/index.js'
import { unseal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { centre, publicKey } from '../support/centre.js'

const trust = { keys: [publicKey], now: Date.now(), bound: { model: 'digits', version: 1 }, atLeast: 1 }

t.test('a published catalogue is retained, signed, and lists every block', async (t) => {
  const { catalogues, offer, join } = await centre(t)
  const { digest } = offer('small', 150_000)
  await catalogues.publish('digits', 1)
  const device = await join('a')
  await device.client.subscribeAsync(topic('catalogue', { model: 'digits', version: 1 }))
  const [bytes] = await device.messages('catalogue')
  const { variants, sequence } = unseal(catalogue, bytes, trust)
  t.match(variants, [{ name: 'small', digest, bytes: 150_000, blockBytes: 65_536 }])
  t.equal(variants[0].blocks.length, 3)
  t.equal(sequence, 1)
})

t.test('the sequence rises with every change and only then', async (t) => {
  const { catalogues, offers, offer } = await centre(t)
  offer('small')
  const large = offer('large')
  t.equal((await catalogues.publish('digits', 1)).sequence, 1)
  t.equal((await catalogues.publish('digits', 1)).sequence, 1, 'nothing changed')
  offers.pop()
  t.match(await catalogues.publish('digits', 1), { sequence: 2, withdrawn: [large.digest] })
  t.equal(catalogues.offered(large.digest), undefined)
  t.throws(() => catalogues.get('letters'), { code: 'CATALOGUE_UNKNOWN' })
})

t.test('an artifact that changed on disk is not offered, and what was published stays', async (t) => {
  const { catalogues, offer, artifacts } = await centre(t)
  offer('small')
  await catalogues.publish('digits', 1)
  appendFileSync(artifacts.path(offer('damaged').digest), 'x')
  await t.rejects(catalogues.publish('digits', 1), { code: 'ARTIFACT_UNKNOWN' })
  t.equal(catalogues.get('digits').sequence, 1)
})

t.test(
  'after a restart the catalogue is there again, and one past half its life is signed anew',
  async (t) => {
    const first = await centre(t)
    const { digest } = first.offer('small')
    await first.catalogues.publish('digits', 1)
    await first.broker.close()
    let now = Date.now()
    const again = { db: first.db, folder: first.folder, now: () => now }
    const second = await centre(t, again)
    t.equal(second.catalogues.get('digits').sequence, 1)
    t.ok(second.catalogues.offered(digest))
    await second.broker.close()
    now += lifetimeMs * 0.6
    const third = await centre(t, again)
    const device = await third.join('a')
    await device.client.subscribeAsync(topic('catalogue', { model: 'digits', version: 1 }))
    const [bytes] = await device.messages('catalogue')
    t.match(unseal(catalogue, bytes, { ...trust, now: now + lifetimeMs * 0.9 }), {
      sequence: 2,
      variants: [{ digest }],
    })
  },
)
