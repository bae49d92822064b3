import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  ENROL_USER,
  type EnrolRequest,
  encode,
  enrolmentCode,
  enrolRequest,
  enrolRequestOf,
  enrolResponse,
  newCredential,
  parse,
  presence,
} from '@espalier/shared/messages/index.js'
import { unseal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import t, { type Test } from 'tap'
import { centre, publicKey } from '../support/centre.js'
import { connectDevice, type TestDevice } from '../support/mqtt.js'

type Centre = Awaited<ReturnType<typeof centre>>

const key = () => generateKeyPairSync('ed25519').privateKey
const newClaim = () => `claim-${randomBytes(16).toString('base64url')}`
const secretOf = ({ code }: { code: string }) => parse(enrolmentCode, Buffer.from(code, 'base64url')).token

async function claimant(t: Test, { broker }: Centre, token: string, claim = newClaim()): Promise<TestDevice> {
  const device = await connectDevice(broker.url, claim, token, { username: ENROL_USER })
  t.teardown(() => device.client.end(true))
  return device
}

/** Asks as a device does; what the service answers. */
async function ask(t: Test, it: Centre, token: string, with_: KeyObject, wishes: Partial<EnrolRequest> = {}) {
  const claim = newClaim()
  const device = await claimant(t, it, token, claim)
  await device.client.subscribeAsync(topic('enrolResponse', { claim }), { qos: 1 })
  const request = { ...enrolRequestOf({ claim, token, id: wishes.id }, with_), ...wishes }
  await device.client.publishAsync(topic('enrolRequest', { claim }), encode(enrolRequest, request), {
    qos: 1,
  })
  const [answer] = await device.messages('/response')
  await device.client.endAsync(true)
  return parse(enrolResponse, answer)
}

t.test('a token makes a device of its group, once', async (t) => {
  const it = await centre(t)
  const token = it.fleet.admission.createToken({ group: 'hall' })
  const secret = secretOf(token)
  const { credential } = await ask(t, it, secret, key(), { id: 'pi-1' })
  t.equal(credential?.id, 'pi-1')
  t.same(it.fleet.group('hall').devices, ['pi-1'])
  const device = await connectDevice(it.broker.url, 'pi-1', credential?.password ?? '')
  t.teardown(() => device.client.end(true))
  t.match(await ask(t, it, secret, key(), { id: 'pi-2' }), {
    credential: null,
    error: { code: 'ENROLMENT_REFUSED', message: /used as often/ },
  })
  t.throws(() => it.fleet.device('pi-2'), { code: 'DEVICE_UNKNOWN' })
  t.match(it.fleet.admission.tokens({}).items, [{ id: token.id, used: 1, uses: 1, state: 'used' }])
  const kept = JSON.stringify(it.db.prepare('SELECT * FROM enrolmentTokens').all())
  t.notOk(kept.includes(secret), 'only a hash is kept')
})

t.test('asked again by the same key, as after a lost answer, it is the same device', async (t) => {
  const it = await centre(t)
  const secret = secretOf(it.fleet.admission.createToken({}))
  const own = key()
  const first = (await ask(t, it, secret, own)).credential
  const second = (await ask(t, it, secret, own)).credential
  t.equal(second?.id, first?.id)
  t.match(first?.id, /^device-[0-9a-z]{6}$/)
  t.notOk(
    it.fleet.admission.authenticate(String(first?.id), String(first?.password)),
    'the answer that was lost is void',
  )
  t.ok(it.fleet.admission.authenticate(String(second?.id), String(second?.password)))
  t.equal(it.fleet.admission.tokens({}).items[0].used, 1)
})

t.test('who is not let in learns why, and nothing is left of it', async (t) => {
  let now = Date.now()
  const it = await centre(t, { now: () => now })
  const open = secretOf(it.fleet.admission.createToken({ uses: 9 }))
  const refused = async (with_: string, wishes: Partial<EnrolRequest>, code: string) =>
    t.match(await ask(t, it, with_, key(), wishes), { credential: null, error: { code } })
  await refused(open, { publicKey: String(key().export({ format: 'jwk' }).x) }, 'SIGNATURE_INVALID')
  await refused(open, { claim: newClaim() }, 'SIGNATURE_INVALID')
  await refused(open, { token: randomBytes(32).toString('base64url') }, 'SIGNATURE_INVALID')
  it.fleet.admission.create({ id: 'taken' })
  await refused(open, { id: 'taken' }, 'DEVICE_EXISTS')
  await refused(open, { id: newClaim() }, 'REQUEST_INVALID')
  t.equal(it.fleet.devices({}).items.length, 1)
  t.equal(it.fleet.admission.tokens({}).items[0].used, 0, 'no use is counted')

  await t.rejects(claimant(t, it, randomBytes(32).toString('base64url')), { code: 4 }, 'no such token')
  const withdrawn = it.fleet.admission.createToken({})
  t.equal(it.fleet.admission.revokeToken(withdrawn.id).state, 'revoked')
  await t.rejects(claimant(t, it, secretOf(withdrawn)), { code: 4 }, 'revoked')
  now += 25 * 3600 * 1000
  await t.rejects(claimant(t, it, open), { code: 4 }, 'too old')
  t.throws(() => it.fleet.admission.revokeToken('tok-none'), { code: 'ENROLMENT_TOKEN_UNKNOWN' })
})

t.test('one that enrols reaches its own claim and nothing else', async (t) => {
  const it = await centre(t)
  it.fleet.admission.create({ id: 'a' })
  const secret = secretOf(it.fleet.admission.createToken({ uses: 9 }))
  const claim = newClaim()
  const other = newClaim()
  const device = await claimant(t, it, secret, claim)
  for (const filter of [
    '#',
    topic('enrolResponse', { claim: other }),
    topic('desired', { device: 'a' }),
    topic('servicePresence', {}),
  ])
    await t.rejects(device.client.subscribeAsync(filter), filter)
  const closed = new Promise<void>((resolve) => device.client.once('close', () => resolve()))
  device.client.publish(topic('enrolRequest', { claim: other }), '{}')
  await closed
  t.match(it.log.codes(), ['TOPIC_FORBIDDEN'])
  await t.rejects(connectDevice(it.broker.url, 'a', secret, { username: ENROL_USER }), { code: 4 })
  t.throws(
    () => it.fleet.admission.create({ id: claim }),
    { code: 'REQUEST_INVALID' },
    'no device has the id of a claim',
  )
})

t.test('a token for a device replaces its hardware', async (t) => {
  const it = await centre(t)
  const old = it.fleet.admission.create({ id: 'a', groups: ['hall'] })
  const session = await connectDevice(it.broker.url, 'a', old.password)
  t.teardown(() => session.client.end(true))
  const gone = new Promise<void>((resolve) => session.client.once('close', () => resolve()))
  const secret = secretOf(it.fleet.admission.createToken({ device: 'a' }))
  const { credential } = await ask(t, it, secret, key(), { id: 'b' })
  t.equal(credential?.id, 'a', 'whatever it would like to be called')
  await gone
  t.notOk(it.fleet.admission.authenticate('a', old.password))
  t.same(it.fleet.device('a').groups, ['hall'])
  t.throws(() => it.fleet.admission.createToken({ device: 'a', uses: 2 }), { code: 'REQUEST_INVALID' })
})

t.test('a revoked device is out until it enrols anew; a retired one leaves its reports', async (t) => {
  const it = await centre(t)
  const device = await it.join('a')
  const gone = new Promise<void>((resolve) => device.client.once('close', () => resolve()))
  it.fleet.admission.revoke('a')
  t.ok(it.fleet.device('a').revokedAt)
  await gone
  t.throws(() => it.fleet.admission.rotate('a'), { code: 'DEVICE_RETIRED' })
  const own = key()
  const secret = secretOf(it.fleet.admission.createToken({ device: 'a' }))
  const again = (await ask(t, it, secret, own)).credential
  t.ok(it.fleet.admission.authenticate('a', String(again?.password)))
  t.equal(it.fleet.device('a').revokedAt, null)
  it.fleet.admission.retire('a')
  t.notOk(it.fleet.admission.authenticate('a', String(again?.password)))
  t.same(it.fleet.devices({}).items, [])
  t.throws(() => it.fleet.device('a'), { code: 'DEVICE_UNKNOWN' })
  t.throws(() => it.fleet.admission.create({ id: 'a' }), { code: 'DEVICE_EXISTS' })
  t.match(await ask(t, it, secret, own), { error: { code: 'ENROLMENT_REFUSED' } }, 'its token is no way back')
})

t.test('a password is replaced without a moment in which neither holds', async (t) => {
  const it = await centre(t)
  const { password } = it.fleet.admission.create({ id: 'a' })
  it.fleet.admission.rotate('a')
  const device = await connectDevice(it.broker.url, 'a', password)
  t.teardown(() => device.client.end(true))
  await device.client.subscribeAsync(topic('credential', { device: 'a' }))
  const birth = () =>
    device.client.publishAsync(
      topic('presence', { device: 'a' }),
      encode(presence, { online: true, epoch: 1, agentVersion: '0.1.0' }),
      { qos: 1 },
    )
  await birth()
  await birth() // as after a crash before it was on disk
  const [first, second] = (await device.messages('/credential', 2)).map((bytes) =>
    unseal(newCredential, bytes, { keys: [publicKey], now: Date.now(), bound: { device: 'a' }, atLeast: 1 }),
  )
  t.same([second.n, second.password], [first.n, first.password], 'the same, until it is used')
  t.ok(it.fleet.admission.authenticate('a', password), 'the old one holds until then')
  t.ok(it.fleet.admission.authenticate('a', second.password))
  t.notOk(it.fleet.admission.authenticate('a', password), 'and not after')
  await birth()
  t.equal(
    device.received.filter(({ topic }) => topic.endsWith('/credential')).length,
    2,
    'none is due any more',
  )
  it.fleet.admission.rotate('a')
  const [, , third] = await device.messages('/credential', 3)
  const next = unseal(newCredential, third, { keys: [publicKey], now: Date.now(), bound: {}, atLeast: 1 })
  t.equal(next.n, first.n + 1)
  t.not(next.password, first.password)
})
