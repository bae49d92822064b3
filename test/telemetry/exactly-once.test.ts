import { encode, parse, reports, reportsAck } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { reportOf } from '../support/centre.js'
import { connectDevice, type TestDevice } from '../support/mqtt.js'
import { ServiceProcess } from '../support/up.js'

const total = 400

/** A device that sends what is in its outbox, several at a time, until it is acknowledged as stored. */
class Sender {
  readonly outbox = new Set(Array.from({ length: total }, (_, n) => `r${n}`))
  sent = 0
  #device: TestDevice | undefined

  constructor(
    readonly url: string,
    readonly password: string,
  ) {}

  /** Goes on until `enough` or the connection ends. */
  async run(enough: () => boolean): Promise<void> {
    const device = await connectDevice(this.url, 'a', this.password)
    this.#device = device
    device.client.on('message', (_, payload) => {
      for (const id of parse(reportsAck, payload).stored) this.outbox.delete(id)
    })
    await device.client.subscribeAsync(topic('reportsAck', { device: 'a' }))
    while (!enough() && device.client.connected) {
      const batch = [...this.outbox].slice(0, 7)
      if (!batch.length) break
      for (const id of batch) {
        const bytes = encode(reports, { reports: [reportOf('a', id)] })
        device.client.publish(topic('reports', { device: 'a', n: ++this.sent }), bytes, { qos: 1 }, () => {})
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  close(): void {
    this.#device?.client.end(true)
  }
}

t.test(
  'with the service killed twice while reports stream in, every report is stored exactly once',
  async (t) => {
    const service = new ServiceProcess(t.testdir())
    t.teardown(() => service.kill())
    await service.start()
    const created = await fetch(`${service.url}/v1/devices`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"id":"a"}',
    })
    const { password } = (await created.json()) as { password: string }
    const sender = new Sender(service.mqttUrl, password)
    t.teardown(() => sender.close())
    for (const stop of [total - 60, total - 180]) {
      await sender.run(() => sender.outbox.size <= stop)
      t.ok(sender.outbox.size > 0, `killed with ${sender.outbox.size} reports not acknowledged`)
      await service.kill()
      sender.close()
      await service.start()
    }
    await sender.run(() => false)
    t.equal(sender.outbox.size, 0)
    const stored: string[] = []
    for (let cursor = ''; ; ) {
      const page = await fetch(`${service.url}/v1/reports?limit=150${cursor}`)
      const { items, next } = (await page.json()) as { items: { id: string }[]; next: string | null }
      stored.push(...items.map(({ id }) => id))
      if (next === null) break
      cursor = `&cursor=${next}`
    }
    t.equal(stored.length, total)
    t.equal(new Set(stored).size, total)
    t.ok(sender.sent > total, `${sender.sent} messages were sent for ${total} reports`)
  },
)
