import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { encode, type Reported, root, roots } from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { answers, withGolden } from './support/golden.js'
import { testModel } from './support/models.js'
import { AgentProcess, soon } from './support/process.js'
import { TestService } from './support/service.js'

const yearMs = 365 * 86_400_000

t.test(
  'an expired root lets nothing new in; the device keeps what it runs until a newer root comes',
  async (t) => {
    const models = [testModel('first', 64, { top1: { value: 0.9, n: 10_000 } }), testModel('second', 72)]
    const [first, second] = await withGolden(models, t.testdir())
    const service = await TestService.start()
    const agent = new AgentProcess(service.credential())
    t.teardown(async () => {
      await agent.end('SIGKILL')
      await service.down()
    })
    const key = publicKeyText(service.keys.publicKey)
    const signing = generateKeyPairSync('ed25519').privateKey
    const chain: unknown[] = []
    /** Puts one more version of the root, which expires then, behind those before. */
    const say = async (expiresAt: number) => {
      const documents = [{ key: publicKeyText(signing), until: null }]
      const version = chain.length + 1
      const content = { type: 'root' as const, version, issuedAt: 1, expiresAt, root: [key], documents }
      chain.push(JSON.parse(seal(root, content, service.keys.privateKey).toString()))
      await service.send(topic('keys', {}), encode(roots, { roots: chain }), true)
    }
    const signed = { key: signing }
    const clock = join(agent.folder, 'clock')
    const start = (offsetMs = 0) => {
      writeFileSync(clock, String(offsetMs))
      agent.start(undefined, soon, { CLOCK_OFFSET: clock }, [
        '--import',
        resolve('test/support/faults/clock.mjs'),
      ])
    }
    const refuses = (r: Reported) =>
      r.error?.code === 'DOCUMENT_EXPIRED' && /root \d expired/.test(r.error.message)
    const revision = (n: number) => (r: Reported) => r.revision === n && r.error === null

    await say(Date.now() + yearMs)
    await service.offer([first], signed)
    await service.desire('dev-1', {}, signed)
    start()
    await service.until((r) => r.state === 'active')

    await say(Date.now() - 1)
    await service.offer([second], { ...signed, version: 2 })
    await service.desire('dev-1', { version: 2, revision: 5 }, signed)
    const refused = await service.until(refuses)
    t.match(refused, { revision: 1, active: { variant: first.variant.digest } })
    t.match(refused.error?.message, /espalier keys renew/)
    await agent.end()
    start()
    t.match(await service.until((r) => r.at > refused.at && refuses(r)), {
      active: { variant: first.variant.digest },
    })
    t.ok(await answers(agent.state, [first]), 'after a restart as well')

    await say(Date.now() + yearMs)
    t.match(await service.until(revision(5)), { error: null }, 'a newer root is followed from an expired one')
    await service.until((r) => r.active?.variant === second.variant.digest && r.state === 'active')
    await agent.end()

    await t.test('a clock that is years ahead makes it so, and nothing more once it is right', async (t) => {
      start(3 * yearMs)
      const ahead = await service.until((r) => r.at > Date.now() + yearMs && refuses(r))
      t.match(ahead, { active: { variant: second.variant.digest } })
      writeFileSync(clock, '0')
      t.match(await service.until(revision(5)), { active: { variant: second.variant.digest } })
      await agent.end()
    })

    await t.test('a clock that is years behind believes what is signed, as with any document', async (t) => {
      start(-3 * yearMs)
      t.match(await service.until(revision(5)), { active: { variant: second.variant.digest } })
      await service.desire('dev-1', { version: 1, revision: 4 }, signed)
      await service.until((r) => r.error?.code === 'DOCUMENT_REPLAYED')
    })
  },
)
