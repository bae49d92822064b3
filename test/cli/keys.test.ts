import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backupOf, keyIn, serviceKeys } from '@espalier/server/delivery/index.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import t from 'tap'
import { networkBytes, testModel } from '../agent/support/models.js'
import { AgentProcess } from '../agent/support/process.js'
import { fill, ServiceProcess } from '../agent/support/service-process.js'

const espalier = (...args: string[]) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ['server/dist/cli/main.js', ...args], (error, stdout, stderr) =>
      resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
    )
  })

async function until(what: string, look: () => Promise<unknown> | unknown): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await look()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`never: ${what}`)
}

t.test('where the disk was lost keys come back into a folder that is made for them', async (t) => {
  const folder = t.testdir({ data: {} })
  const [data, lost] = [join(folder, 'data'), join(folder, 'new', 'data')]
  const { rootKey } = serviceKeys(data)
  const kept = join(folder, 'kept.json')
  writeFileSync(kept, backupOf(data))
  t.match(await espalier('keys', 'restore', kept, '--data', lost), { status: 0, stdout: /Root version\s+1/ })
  t.equal(serviceKeys(lost).rootKey, rootKey)
  t.equal(statSync(lost).mode & 0o777, 0o700)
})

t.test(
  'keys rotate with an overlap, are kept offline, and come back from a backup; devices follow',
  async (t) => {
    const folder = t.testdir({ data: {}, elsewhere: {} })
    const data = join(folder, 'data')
    const small = testModel('small', 64, { top1: { value: 0.9, n: 10_000 }, measuredRamBytes: 100_000 })
    await fill(data, networkBytes(64), [small])
    const service = new ServiceProcess(data)
    t.teardown(() => service.end())
    await service.start()
    const agent = new AgentProcess(await service.device('pi'))
    t.teardown(() => agent.end('SIGKILL'))
    agent.start()
    const device = async () => (await service.call('GET', '/devices/pi')).body as Record<string, unknown>
    await until('it runs what it should', async () => (await device()).active)
    const roots = () => JSON.parse(readFileSync(join(agent.state, 'roots.json'), 'utf8')).roots.length
    t.equal(roots(), 1)

    const keys = (...args: string[]) => espalier('keys', ...args, '--data', data)
    t.match(await keys('rotate'), { status: 1, stderr: /STATE_LOCKED/ }, 'not beside a running service')
    await service.end('SIGTERM')
    const stolen = keyIn(join(data, 'service.key'))
    t.match(JSON.parse((await keys('show', '--json')).stdout), {
      version: 1,
      documents: [{ until: null, here: true }],
    })
    t.match(await keys('rotate'), { status: 0, stdout: /Root version\s+2[\s\S]*Expires\s+20/ })
    await service.start()
    await until('it has heard of the key', () => roots() === 2)
    await until('and obeys it', async () => {
      await service.call('POST', '/devices/pi/commands', { action: 'select' })
      return (await device()).online && (await device()).error === null
    })

    const backup = join(folder, 'elsewhere', 'keys.json')
    const passphrase = join(folder, 'elsewhere', 'passphrase')
    writeFileSync(passphrase, 'a long enough passphrase\n')
    const kept = ['--passphrase-file', passphrase]
    t.match(await keys('backup', '-o', backup, '--offline', ...kept), { status: 0, stdout: /--root-key/ })
    t.notOk(existsSync(join(data, 'root.key')))
    t.match(await keys('backup', '-o', backup), { status: 1 }, 'nothing is overwritten')
    await service.end('SIGTERM')
    t.match(
      await keys('rotate'),
      { status: 1, stderr: /KEY_INVALID.*|--root-key/ },
      'the root key is not here',
    )

    await t.test(
      'a stolen signing key is worth nothing once it was rotated without an overlap',
      async (t) => {
        await agent.end()
        const between = keyIn(join(data, 'service.key'))
        for (let missed = 0; missed < 2; missed++)
          t.match(await keys('rotate', '--overlap', '0', '--root-key', backup, ...kept), { status: 0 })
        await service.start()
        agent.start()
        await until('one that missed two versions follows', () => roots() === 4)
        const credential = JSON.parse(readFileSync(agent.credentialFile, 'utf8'))
        t.equal(credential.servicePublicKey, publicKeyText(stolen), 'from the key that it was given')
        await until('and is served', async () => (await device()).online && (await device()).error === null)
        await agent.end()
        await service.end('SIGTERM')

        // A broker in the wrong hands, with both old keys: what they sign is refused.
        const { TestService } = await import('../agent/support/service.js')
        const wrong = await TestService.start()
        t.teardown(() => wrong.down())
        writeFileSync(
          agent.credentialFile,
          JSON.stringify({ ...credential, broker: wrong.credential().broker }),
        )
        agent.start()
        for (const key of [stolen, between]) {
          await wrong.desire('pi', { revision: 1000 }, { key })
          await wrong.until((r) => r.error?.code === 'SIGNATURE_INVALID')
          t.not(wrong.last?.revision, 1000)
        }
        await agent.end()
        writeFileSync(agent.credentialFile, JSON.stringify(credential))
      },
    )

    await t.test('a service that lost its keys goes on with a backup of the newest', async (t) => {
      const newest = join(folder, 'elsewhere', 'newest.json')
      const root = ['--root-key', backup]
      t.match(await keys('backup', '-o', newest, ...root, ...kept), { status: 0 })
      for (const name of ['service.key', 'service.secret', 'roots.json']) rmSync(join(data, name))
      t.match(await keys('restore', newest, ...kept), { status: 0, stdout: /Root version\s+4/ })
      t.match(await keys('renew'), { status: 0, stdout: /Root version\s+5/ })
      await service.start()
      agent.start()
      await until(
        'the device is served',
        async () => (await device()).online && (await device()).error === null,
      )
      t.match(await device(), { active: { variant: small.variant.digest } })
    })
  },
)
