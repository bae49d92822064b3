import type { Socket } from 'node:net'
import { EspalierError } from '@espalier/shared'
import { ENROL_USER, encode, servicePresence } from '@espalier/shared/messages/index.js'
import { type TopicName, topic, topicFilter } from '@espalier/shared/topics.js'
import { Aedes, type Client, type PublishPacket } from 'aedes'
import type { BlockAddress, Broker, Handler } from './broker.js'
import { Entrance, type EntranceOptions } from './entrance.js'
import { Intake, Refusals } from './intake.js'
import { deviceRate, type Rate } from './pace.js'
import { limitPackets, publishHeader } from './packets.js'
import { isClaim, mayRetain, maySubscribe, publishable } from './permissions.js'
import { Session } from './session.js'

export interface EmbeddedOptions extends EntranceOptions {
  /** Whether this password is the device's. */
  readonly authenticate: (device: string, password: string) => boolean
  /** Whether a device without a credential may come in with this token, to enrol. */
  readonly admitsClaim: (token: string) => boolean
  /** How long the first session of an id has to answer before a second takes its place. */
  readonly probeMs?: number
  /** What one client may send. */
  readonly rate?: Rate
  readonly now?: () => number
}

/** Each device's socket is ours, and says how fast that device takes blocks. */
const blocks = { paced: true, broadcasts: true }
const packetLimits = { maxFirstBytes: 16 * 1024, maxBytes: 512 * 1024 }
/** How long a client may take to say who it is, TLS included. */
const helloMs = 10_000
/** Those who enrol at once, and how long each may take. */
const maxClaims = 64
const claimMs = 60_000
/** CONNACK return codes (MQTT 3.1.1, §3.2.2.3) */
const identifierRejected = 2
const serverUnavailable = 3
const badCredential = 4

/**
 * aedes within this process. Sessions are not kept: whatever matters is retained, or repeated until it is
 * acknowledged. A message from a device goes to its handler before it is acknowledged, so PUBACK means handled.
 */
export class EmbeddedBroker implements Broker {
  readonly enrols = true
  readonly #options: EmbeddedOptions
  readonly #aedes: Aedes
  readonly #entrance: Entrance
  readonly #intake: Intake
  readonly #refusals: Refusals
  readonly #sessions = new Map<string, Session>()
  readonly #presence: Buffer

  /** @throws BROKER_INSECURE */
  constructor(options: EmbeddedOptions) {
    this.#options = options
    this.#refusals = new Refusals(options.log, options.now)
    this.#intake = new Intake(this.#refusals)
    this.#entrance = new Entrance(options, helloMs, this.#refusals, (socket) => this.#connect(socket))
    this.#presence = encode(servicePresence, { online: true, epoch: (options.now ?? Date.now)(), blocks })
    this.#aedes = new Aedes({
      connectTimeout: helloMs,
      keepaliveLimit: 300,
      drainTimeout: 60_000, // waited for by one connection alone; a link of 5 kB/s still drains in time
      maxInflightInbound: 1,
      preConnect: (_, packet, done) => {
        packet.clean = true
        done(null, true)
      },
      authenticate: (client, username, password, done) => {
        const refuse = (returnCode: number) =>
          done(Object.assign(new Error('refused'), { returnCode }), false)
        this.#admit(client, username, password).then(
          (returnCode) => (returnCode === undefined ? done(null, true) : refuse(returnCode)),
          (err) => {
            options.log.error({ device: client.id, err }, 'a device could not be admitted')
            refuse(serverUnavailable)
          },
        )
      },
      authorizePublish: (client, packet, done) => {
        this.#take(client, packet).then(() => done(null), done)
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, this.#maySubscribe(client, subscription.topic) ? subscription : null)
      },
      authorizeForward: (client, packet) => {
        if (!client.conn.writableNeedDrain) return packet
        this.#session(client)?.owe(packet.topic, Buffer.from(packet.payload))
        return null
      },
    })
    this.#aedes.on('client', (client) => {
      this.#entrance.admitted(client.conn as Socket)
      this.#sessions.set(client.id, new Session(client))
      if (isClaim(client.id)) setTimeout(() => client.conn.destroy(), claimMs).unref()
    })
    this.#aedes.on('clientDisconnect', (client) => {
      if (this.#session(client)) this.#sessions.delete(client.id)
    })
    this.#aedes.on('ack', (_, client) => this.#session(client)?.acknowledged())
    this.#aedes.on('unsubscribe', (filters, client) => {
      for (const filter of filters) this.#session(client)?.unsubscribe(filter)
    })
  }

  get url(): string {
    return this.#entrance.url
  }

  handle(name: TopicName, handler: Handler): void {
    this.#intake.handle(name, handler)
  }

  /** @throws PORT_TAKEN */
  async start(): Promise<void> {
    await this.#aedes.listen()
    try {
      await this.retain(topic('servicePresence', {}), this.#presence)
      await this.#entrance.open()
    } catch (thrown) {
      await this.close()
      throw thrown
    }
  }

  retain(to: string, payload: Buffer): Promise<void> {
    const packet: PublishPacket = { cmd: 'publish', topic: to, payload, qos: 0, retain: true, dup: false }
    return new Promise((resolve, reject) => {
      this.#aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
    })
  }

  send(device: string, to: string, payload: Buffer): void {
    this.#sessions.get(device)?.write(to, payload)
  }

  async sendBlock(
    device: string,
    header: Buffer,
    payload: Uint8Array,
    mostWaiting?: number,
  ): Promise<boolean> {
    const to = topic('blocksData', { device })
    return (await this.#sessions.get(device)?.writePaced(to, [header, payload], mostWaiting)) ?? false
  }

  hasRoom(device: string): boolean {
    return this.#sessions.get(device)?.hasRoom ?? false
  }

  async broadcast(
    devices: readonly string[],
    { digest, index }: BlockAddress,
    header: Buffer,
    payload: Uint8Array,
  ): Promise<void> {
    const to = topic('artifact', { digest, block: index })
    const filter = topicFilter('artifact', { digest })
    const head = Buffer.concat([publishHeader(to, header.length + payload.length), header])
    for (const device of devices) this.#sessions.get(device)?.writePacket(filter, head, payload)
    await new Promise(setImmediate) // so that sockets get their turn
  }

  disconnect(device: string): void {
    this.#sessions.get(device)?.client.conn.destroy()
  }

  async close(): Promise<void> {
    await this.#entrance.close(() => new Promise<void>((resolve) => this.#aedes.close(resolve)))
  }

  #session(client: Client): Session | undefined {
    const session = this.#sessions.get(client.id)
    return session?.client === client ? session : undefined
  }

  #connect(socket: Socket): void {
    const client = this.#aedes.handle(socket)
    const limits = { ...packetLimits, rate: this.#options.rate ?? deviceRate }
    limitPackets(socket, limits, (bytes) =>
      this.#refusals.note(
        client.id ?? 'unknown',
        'MESSAGE_TOO_LARGE',
        `a packet of ${bytes} bytes; the connection was ended`,
      ),
    )
  }

  /** The return code that refuses a connection, or undefined. */
  async #admit(client: Client, username?: string, password?: Buffer): Promise<number | undefined> {
    const { probeMs = 3_000 } = this.#options
    if (!this.#knows(client.id, username, password?.toString())) {
      this.#refusals.note(
        client.id,
        'CREDENTIAL_INVALID',
        'a device could not connect: unknown id, or not its password',
      )
      return badCredential
    }
    const first = this.#sessions.get(client.id)
    if (first && (await first.answers(topic('servicePresence', {}), this.#presence, probeMs))) {
      this.#refusals.note(
        client.id,
        'DEVICE_CONNECTED',
        'a second machine connects with the credential of a device that is connected; give it one of its own: espalier devices create',
      )
      return identifierRejected
    }
  }

  #knows(id: string, username?: string, password?: string): boolean {
    const { authenticate, admitsClaim } = this.#options
    if (password === undefined) return false
    if (!isClaim(id)) return username === id && authenticate(id, password)
    const enrolling = [...this.#sessions.keys()].filter(isClaim).length
    return username === ENROL_USER && enrolling < maxClaims && admitsClaim(password)
  }

  async #take(client: Client | null, packet: PublishPacket): Promise<void> {
    if (!client) return
    const to = publishable(client.id, packet.topic)
    if (!to || packet.qos === 2) {
      const what = to ? 'with QoS 2' : 'which is not its own'
      const error = new EspalierError(
        'TOPIC_FORBIDDEN',
        `a device published to ${packet.topic}, ${what}; its connection was ended`,
      )
      this.#refusals.note(client.id, error.code, error.message)
      throw error
    }
    packet.retain &&= mayRetain(to.name)
    await this.#session(client)?.turn()
    if (await this.#intake.take(client.id, to.name, Buffer.from(packet.payload))) return
    throw new EspalierError('INTERNAL', 'the message is not acknowledged, so that it comes again')
  }

  #maySubscribe(client: Client, filter: string): boolean {
    const allowed = maySubscribe(client.id, filter)
    if (!allowed) this.#refusals.note(client.id, 'TOPIC_FORBIDDEN', `a device may not subscribe to ${filter}`)
    return allowed && (this.#session(client)?.subscribe(filter) ?? false)
  }
}
