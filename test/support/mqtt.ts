import { EventEmitter, once } from 'node:events'
import type { Logger } from '@espalier/server/broker/index.js'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'

/** A logger that keeps what it was told. */
export class Log implements Logger {
  readonly lines: { level: string; fields: Record<string, unknown>; message: string }[] = []
  readonly #add = (level: string) => (fields: object, message: string) => {
    this.lines.push({ level, fields: { ...fields }, message })
  }
  readonly info = this.#add('info')
  readonly warn = this.#add('warn')
  readonly error = this.#add('error')
  codes(): unknown[] {
    return this.lines.map((line) => line.fields.code)
  }
}

/** A device's side of MQTT: what it received, and what came when. */
export class TestDevice {
  readonly received: { topic: string; payload: Buffer; retain: boolean }[] = []
  readonly #arrived = new EventEmitter()

  constructor(readonly client: MqttClient) {
    client.on('message', (topic, payload, { retain }) => {
      this.received.push({ topic, payload, retain })
      this.#arrived.emit('message')
    })
    client.on('error', () => undefined)
  }

  /** Waits until `count` messages have come on a topic that ends in `ending`; they are returned. */
  async messages(ending: string, count = 1, withinMs = 10_000): Promise<Buffer[]> {
    const signal = AbortSignal.timeout(withinMs)
    for (;;) {
      const found = this.received.filter(({ topic }) => topic.endsWith(ending)).map(({ payload }) => payload)
      if (found.length >= count) return found
      await once(this.#arrived, 'message', { signal })
    }
  }
}

/** Connects a device; it does not connect again by itself unless `options` say so. */
export async function connectDevice(
  url: string,
  id: string,
  password: string,
  options: IClientOptions = {},
): Promise<TestDevice> {
  const client = await mqtt.connectAsync(
    url,
    { clientId: id, username: id, password, reconnectPeriod: 0, protocolVersion: 4, ...options },
    false,
  )
  return new TestDevice(client)
}

/** Resolves when `holds` does; looks every few milliseconds. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
