import { EspalierError } from '@espalier/shared'
import { encode, servicePresence } from '@espalier/shared/messages/index.js'
import { parseTopic, type TopicName, topic, topicFilter } from '@espalier/shared/topics.js'
import mqtt, { type MqttClient } from 'mqtt'
import type { BlockAddress, Broker, Handler, Logger } from './broker.js'
import { Intake, Refusals } from './intake.js'

export interface OutsideOptions {
  /** `mqtt://user:password@host:port` or `mqtts://…` */
  readonly url: string
  readonly log: Logger
  /** How long `start` waits for the broker. */
  readonly connectMs?: number
  readonly now?: () => number
}

const maxWaitingBytes = 1024 * 1024
/** The devices' connections are not ours to see, and every copy of a block crosses ours. */
const blocks = { paced: false, broadcasts: true }

/**
 * Any MQTT 3.1.1 broker, which itself must hold devices to their topics. PUBACK then means that the broker
 * has the message; what is stored, `reports/ack` says.
 */
export class OutsideBroker implements Broker {
  readonly enrols = false
  readonly #options: OutsideOptions
  readonly #intake: Intake
  readonly #epoch: number
  #client: MqttClient | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: OutsideOptions) {
    this.#options = options
    this.#intake = new Intake(new Refusals(options.log, options.now))
    this.#epoch = (options.now ?? Date.now)()
  }

  get url(): string {
    const url = new URL(this.#options.url)
    url.username = ''
    url.password = ''
    return url.href.replace(/\/$/, '')
  }

  handle(name: TopicName, handler: Handler): void {
    this.#intake.handle(name, handler)
  }

  /** @throws BROKER_UNREACHABLE. Later interruptions are waited out. */
  async start(): Promise<void> {
    const { log, connectMs = 10_000 } = this.#options
    const presence = topic('servicePresence', {})
    const says = (online: boolean) => encode(servicePresence, { online, epoch: this.#epoch, blocks })
    const client = mqtt.connect(this.#options.url, {
      clientId: `espalier-service-${process.pid}-${this.#epoch}`,
      protocolVersion: 4,
      reconnectPeriod: 1_000,
      connectTimeout: connectMs,
      will: { topic: presence, payload: says(false), qos: 1, retain: true },
    })
    this.#client = client
    client.on('message', (name, payload) => this.#take(name, payload))
    client.on('error', (err) =>
      log.warn({ code: 'BROKER_UNREACHABLE', err }, 'the MQTT broker answers with an error'),
    )
    client.on('connect', () => {
      client.publish(presence, says(true), { qos: 1, retain: true })
    })
    await this.#connected(client, connectMs)
    await client.subscribeAsync(
      this.#intake.names.map((name) => topicFilter(name)),
      { qos: 1 },
    )
  }

  async retain(to: string, payload: Buffer): Promise<void> {
    await this.#client?.publishAsync(to, payload, { qos: 1, retain: true })
  }

  send(_device: string, to: string, payload: Buffer): void {
    this.#client?.publish(to, payload, { qos: 1 })
  }

  async sendBlock(device: string, header: Buffer, payload: Uint8Array): Promise<boolean> {
    return this.#publishBlock(topic('blocksData', { device }), header, payload)
  }

  hasRoom(): boolean {
    return true
  }

  async broadcast(
    _devices: readonly string[],
    { digest, index }: BlockAddress,
    header: Buffer,
    payload: Uint8Array,
  ): Promise<void> {
    await this.#publishBlock(topic('artifact', { digest, block: index }), header, payload)
  }

  /** In turn: were all to wait for the same moment, all would add a block at that moment. */
  #publishBlock(to: string, header: Buffer, payload: Uint8Array): Promise<boolean> {
    const done = this.#turn.then(async () => {
      const client = this.#client
      if (!client?.connected) return false
      const written = client.publishAsync(to, Buffer.concat([header, payload]), { qos: 0 })
      if (client.stream.writableLength > maxWaitingBytes) await written
      else written.catch((err) => this.#options.log.warn({ to, err }, 'a block could not be sent'))
      return true
    })
    this.#turn = done.catch(() => undefined)
    return done
  }

  disconnect(): void {
    // the connection is the outside broker's; it refuses the device once its own list of credentials says so
  }

  async close(): Promise<void> {
    const client = this.#client
    if (!client) return
    if (client.connected) {
      const offline = encode(servicePresence, { online: false, epoch: this.#epoch })
      await client.publishAsync(topic('servicePresence', {}), offline, { qos: 1, retain: true })
    }
    await client.endAsync(true)
  }

  #take(name: string, payload: Buffer): void {
    const to = parseTopic(name)
    if (!to || !('device' in to)) return
    void this.#intake.take(to.device, to.name, payload)
  }

  #connected(client: MqttClient, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        client.end(true)
        reject(
          new EspalierError(
            'BROKER_UNREACHABLE',
            `no MQTT broker answers at ${this.url}; is it running, and is the URL right?`,
          ),
        )
      }, withinMs)
      client.once('connect', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
