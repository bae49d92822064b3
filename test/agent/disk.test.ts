import { statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fillUp, smallDisk } from '../support/small-disk.js'
import { testModel } from './support/models.js'
import { AgentProcess } from './support/process.js'
import { TestService } from './support/service.js'
import { locksCannotHold } from './support/start-times.js'

t.test('a full disk is reported, loses nothing, and once there is room the agent goes on', async (t) => {
  const disk = smallDisk(t, '4m')
  if (!disk) {
    t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
    return
  }
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential(), join(disk, 'state'))
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  const small = testModel('small', 64, { top1: { value: 0.9, n: 10_000 } })
  const large = testModel('large', 1100, { top1: { value: 0.99, n: 10_000 } })
  await service.offer([small])
  await service.desire()
  agent.start()
  await service.until((r) => r.active?.variant === small.variant.digest)

  const filler = join(disk, 'filler')
  writeFileSync(filler, Buffer.alloc(2 ** 20))
  await service.offer([small, large])
  const full = await service.until((r) => r.error?.code === 'DISK_FULL')
  t.equal(full.active?.variant, small.variant.digest, 'it goes on with what it has')
  t.match(full.error?.message, /large needs 5.\d\d MB/, 'said before a byte was fetched')
  t.equal([...service.served.keys()].filter((key) => key.startsWith(large.variant.digest)).length, 0)

  await t.test('also when the disk fills up while blocks arrive', async (t) => {
    unlinkSync(filler)
    const fitting = testModel('fitting', 512, { top1: { value: 0.995, n: 10_000 } })
    let filled = false
    service.bend = (index, payload, digest) => {
      if (!filled && digest === fitting.variant.digest && index > 20) {
        filled = true
        fillUp(filler)
      }
      return payload
    }
    await service.offer([small, fitting])
    const late = await service.until((r) => r.error?.code === 'DISK_FULL' && /is full/.test(r.error.message))
    t.equal(late.active?.variant, small.variant.digest)
    truncateSync(filler, 0)
    await service.until((r) => r.active?.variant === fitting.variant.digest)
    t.ok(statSync(join(agent.state, 'current', 'model.onnx')).size > 2 ** 20, 'after room was made')
  })
  await t.test('a document that found no room is taken once there is some', async (t) => {
    const { revision } = await service.until((r) => r.state === 'active')
    while ((await agent.status()).outbox.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    fillUp(filler)
    const next = revision + 1
    await service.desire('dev-1', { revision: next })
    const refused = await service.until((r) => r.error?.code === 'DISK_FULL')
    t.equal(refused.revision, revision, 'what cannot be remembered is not accepted')
    truncateSync(filler, 0)
    await service.until((r) => r.revision === next && r.error === null)
  })
  await t.test('an agent that starts on a full disk goes on with what it has', async (t) => {
    const { revision, active } = await service.until((r) => r.state === 'active' && r.error === null)
    await agent.end('SIGKILL')
    fillUp(filler)
    const before = service.reported.length
    agent.start()
    const started = () => service.reported.slice(before).find((r) => r.state === 'active')
    while (!started()) await new Promise((resolve) => setTimeout(resolve, 20))
    t.match(started(), { revision, active }, 'and knows what is desired of it')
    await t.test('a second agent is refused all the same', { skip: await locksCannotHold() }, async (t) => {
      const other = new AgentProcess(service.credential(), join(disk, 'state'))
      other.start()
      t.equal(await other.ended(), 1)
      t.match(other.log, 'STATE_LOCKED')
    })
    t.equal(await agent.end(), 0)
    agent.start()
    const again = service.reported.length
    while (!service.reported.slice(again).some((r) => r.state === 'active'))
      await new Promise((resolve) => setTimeout(resolve, 20))
    truncateSync(filler, 0)
  })
  t.equal(await agent.end(), 0, 'and never crashed')
})
