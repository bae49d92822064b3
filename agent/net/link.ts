import { randomInt } from 'node:crypto'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { encode, presence } from '@espalier/shared/messages/index.js'
import { type ParsedTopic, parseTopic, topic, topicFilter } from '@espalier/shared/topics.js'
import mqtt from 'mqtt/lib/client'
import type { Clock } from '../clock.js'
import type { Credential } from '../credential.js'
import { openSocket, parseBroker } from './socket.js'

export interface LinkOptions {
  readonly credential: Credential
  readonly agentVersion: string
  readonly clock: Clock
  /** A number higher than any this device used before, kept on disk. */
  readonly nextEpoch: () => number
  /** What every session subscribes to at once. */
  readonly subscriptions: readonly string[]
  readonly onMessage: (topic: ParsedTopic, payload: Uint8Array) => void
  /** A block's message; its memory is used again after the call. */
  readonly onBlock: (payload: Uint8Array) => void
  readonly onOnline: () => void
  /** `error` is null after an orderly end. */
  readonly onOffline: (error: EspalierError | null) => void
  /** First and longest pause between attempts, ms. */
  readonly retryMs?: readonly [first: number, longest: number]
  readonly keepaliveSeconds?: number
}

/** How the topics of all artifacts begin. */
const artifacts = topicFilter('artifact').replace('+/+', '')

type Client = InstanceType<typeof mqtt.default>

/**
 * The agent's one connection to the broker: a will and a birth that share an epoch, its own topics only, and a
 * new attempt after every end, at pauses that double and are drawn at random so that a fleet does not return as one.
 * Each session is a client of its own, so nothing is queued inside MQTT.js: the outbox on disk is the queue.
 */
export class Link {
  readonly #options: LinkOptions
  readonly #stop = new AbortController()
  readonly #topics: Set<string>
  #credential: Credential
  #client: Client | null = null
  #epoch = 0
  #heardAt = 0
  #running: Promise<void> | null = null

  constructor(options: LinkOptions) {
    this.#options = options
    this.#credential = options.credential
    this.#topics = new Set(options.subscriptions)
  }

  get online(): boolean {
    return this.#client !== null
  }

  /** When the connection last brought anything. */
  get heardAt(): number {
    return this.#heardAt
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Says goodbye and ends. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#running
  }

  /**
   * Sends; resolves when the broker has taken it (QoS 1) or the socket has (QoS 0).
   * @throws BROKER_UNREACHABLE without a session, or when it ends before that.
   */
  async publish(
    to: string,
    payload: Buffer,
    { qos = 1, retain = false }: { qos?: 0 | 1; retain?: boolean } = {},
  ) {
    if (!this.#client) throw unreachable('not connected')
    try {
      await this.#client.publishAsync(to, payload, { qos, retain })
    } catch (e) {
      throw unreachable(asEspalierError(e).message, e)
    }
  }

  /** Connects anew with another password. */
  renew(credential: Credential): void {
    this.#credential = credential
    this.#client?.end(true)
    this.#client?.stream.destroy()
  }

  /** Adds a subscription, to this session and all later ones. */
  subscribe(filter: string): void {
    if (this.#topics.has(filter)) return
    this.#topics.add(filter)
    if (this.#client) this.#subscribe(this.#client, [filter])
  }

  /** Subscribes again to what is subscribed already: the broker then sends what it retains once more. */
  refresh(): void {
    if (this.#client) this.#subscribe(this.#client, [...this.#topics])
  }

  /** Subscribes for this session alone; false if the broker refuses, or the session ends. */
  async listen(filter: string): Promise<boolean> {
    if (!this.#client) return false
    return this.#client.subscribeAsync(filter, { qos: 0 }).then(
      () => true,
      () => false,
    )
  }

  unlisten(filter: string): void {
    this.#client?.unsubscribe(filter)
  }

  unsubscribe(filter: string): void {
    if (this.#topics.delete(filter)) this.#client?.unsubscribe(filter)
  }

  async #run(): Promise<void> {
    const { clock, retryMs: [first, longest] = [500, 30_000] } = this.#options
    let pause = first
    while (!this.#stop.signal.aborted) {
      const began = clock.now()
      const error = await this.#session()
      this.#options.onOffline(error)
      if (this.#stop.signal.aborted) return
      pause = clock.now() - began > longest ? first : Math.min(pause * 2, longest)
      await clock.sleep(randomInt(Math.ceil(pause / 2), pause + 1), this.#stop.signal).catch(() => {})
    }
  }

  /** One connection from beginning to end; why it ended. */
  #session(): Promise<EspalierError | null> {
    const { nextEpoch, onOnline, onMessage } = this.#options
    const credential = this.#credential
    this.#epoch = nextEpoch()
    const client = this.#open()
    return new Promise((resolve) => {
      let error: EspalierError | null = null
      const stop = () => this.#goodbye(client)
      client.on('connect', () => {
        this.#client = client
        this.#subscribe(client, [...this.#topics])
        client.publish(topic('presence', { device: credential.id }), this.#presence(true), {
          qos: 1,
          retain: true,
        })
        onOnline()
      })
      client.on('message', (name: string, payload: Uint8Array) => {
        const parsed = parseTopic(name)
        if (parsed) onMessage(parsed, payload)
      })
      client.on('error', (e: unknown) => {
        error =
          refusal(credential, e) ?? unreachable(`${credential.broker}: ${asEspalierError(e).message}`, e)
      })
      client.on('close', () => {
        this.#stop.signal.removeEventListener('abort', stop)
        if (this.#client === client) this.#client = null
        client.end(true)
        const isOurs = this.#stop.signal.aborted
        resolve(error ?? (isOurs ? null : unreachable(`${credential.broker} closed the connection`)))
      })
      this.#stop.signal.addEventListener('abort', stop, { once: true })
    })
  }

  #open(): Client {
    const { keepaliveSeconds = 30, onBlock, clock } = this.#options
    const credential = this.#credential
    const data = topic('blocksData', { device: credential.id })
    const lane = {
      takes: (name: string) => name === data || name.startsWith(artifacts),
      heard: () => {
        this.#heardAt = clock.now()
      },
      block: (_: string, bytes: Buffer) => onBlock(bytes),
    }
    const address = { ...parseBroker(credential.broker), ca: credential.ca }
    return new mqtt.default(() => openSocket(address, lane), {
      protocolVersion: 4,
      clientId: credential.id,
      username: credential.id,
      password: credential.password,
      clean: true,
      keepalive: keepaliveSeconds,
      connectTimeout: 10_000,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      writeCache: false,
      will: {
        topic: topic('presence', { device: credential.id }),
        payload: this.#presence(false),
        qos: 1,
        retain: true,
      },
    })
  }

  #subscribe(client: Client, filters: string[]): void {
    client.subscribe(filters, { qos: 1 }, (error) => {
      if (error && !client.disconnecting && client.connected) client.stream.destroy(error)
    })
  }

  #goodbye(client: Client): void {
    if (!client.connected) {
      client.end(true)
      client.stream.destroy()
      return
    }
    const name = topic('presence', { device: this.#options.credential.id })
    client.publish(name, this.#presence(false), { qos: 1, retain: true }, () => client.end(false))
    setTimeout(() => client.stream.destroy(), 2000).unref()
  }

  #presence(online: boolean): Buffer {
    return encode(presence, { online, epoch: this.#epoch, agentVersion: this.#options.agentVersion })
  }
}

/** CONNACK return codes (MQTT 3.1.1, section 3.2.2.3). */
const [identifierRejected, badCredential, notAuthorized] = [2, 4, 5]

/** Why the broker did not let this device in, if that is what happened. */
function refusal({ id, broker }: Credential, thrown: unknown): EspalierError | null {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  if (code === identifierRejected) {
    const message = `${broker} has a live session of '${id}' already; end the other agent with this credential, or make a device of its own for this one`
    return new EspalierError('DEVICE_CONNECTED', message, { cause: thrown })
  }
  if (code === badCredential || code === notAuthorized) {
    const message = `${broker} does not accept the credential of '${id}'; make a new one with: espalier devices create`
    return new EspalierError('CREDENTIAL_INVALID', message, { cause: thrown })
  }
  return null
}

const unreachable = (why: string, cause?: unknown) =>
  new EspalierError('BROKER_UNREACHABLE', `the broker cannot be reached: ${why}`, { cause })
