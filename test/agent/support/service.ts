import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Credential } from '@espalier/agent/credential.js'
import {
  blockHeader,
  blocksRequest,
  type CatalogueVariant,
  catalogue,
  type Desired,
  desired,
  encode,
  parse,
  type Report,
  type Reported,
  reported,
  reports,
  reportsAck,
  servicePresence,
  wantedBlocks,
} from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import { parseTopic, topic } from '@espalier/shared/topics.js'
import { Aedes } from 'aedes'
import { patience } from '../../support/patience.js'
import type { TestModel } from './models.js'

const day = 86_400_000

/**
 * A service small enough to misbehave on purpose, on a real broker: it signs, serves blocks and stores reports
 * by the shared formats, and each of these can be bent.
 */
export class TestService {
  readonly keys = generateKeyPairSync('ed25519')
  /** How often each block of each artifact went out, as `digest/index`. */
  readonly served = new Map<string, number>()
  /** As they came; one may come more than once. */
  readonly reports: Report[] = []
  readonly reported: Reported[] = []
  readonly models = new Map<string, Buffer>()
  readonly messages: { topic: string; payload: Buffer }[] = []
  /** Called for every block on its way; the bytes it returns go out, null for none. */
  bend: (index: number, payload: Buffer, digest: string) => Buffer | null = (_, payload) => payload
  /** Whether reports are acknowledged as stored. */
  acknowledges = true
  /** Pause between blocks, ms. */
  paceMs = 0
  revision = 0
  sequence = 0
  #epoch = 0
  #aedes: Aedes | null = null
  #server: Server | null = null
  readonly #blockBytes = new Map<string, number>()
  readonly #sockets = new Set<Socket>()
  #port = 0
  readonly #retained = new Map<string, Buffer>()

  static async start(): Promise<TestService> {
    const service = new TestService()
    await service.up()
    return service
  }

  credential(id = 'dev-1'): Credential {
    return {
      id,
      password: 'a password',
      broker: `mqtt://127.0.0.1:${this.#port}`,
      servicePublicKey: publicKeyText(this.keys.publicKey),
    }
  }

  /** Opens the broker, on the port it had before if there was one. */
  async up(): Promise<void> {
    const aedes = await Aedes.createBroker()
    this.#aedes = aedes
    aedes.on('publish', (packet, client) => {
      if (client)
        this.#received(packet.topic, Buffer.from(packet.payload)).catch((e) =>
          aedes.emit('connectionError', client, e),
        )
    })
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      aedes.handle(socket)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    for (const [to, payload] of this.#retained) await this.#publish(to, payload, true)
    await this.presence(true)
  }

  /** Ends the broker as if its machine had lost power. */
  async down(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server!.close(() => resolve()))
    await new Promise<void>((resolve) => this.#aedes!.close(() => resolve()))
    this.#aedes = null
  }

  async presence(online: boolean): Promise<void> {
    if (online) this.#epoch++
    await this.#publish(
      topic('servicePresence', {}),
      encode(servicePresence, { online, epoch: this.#epoch }),
      true,
    )
  }

  /** Publishes a catalogue of these models; returns its bytes. */
  async offer(
    models: readonly TestModel[],
    {
      model = 'digits',
      version = 1,
      sequence = ++this.sequence,
      key = this.keys.privateKey,
      bend = (b: Buffer) => b,
      expiresAt = Date.now() + day,
    } = {},
  ): Promise<Buffer> {
    for (const { bytes, variant } of models) {
      this.models.set(variant.digest, bytes)
      this.#blockBytes.set(variant.digest, variant.blockBytes)
    }
    const variants: CatalogueVariant[] = models.map((m) => m.variant)
    const now = Date.now()
    const content = {
      type: 'catalogue' as const,
      model,
      version,
      sequence,
      issuedAt: now,
      expiresAt,
      variants,
    }
    const bytes = bend(seal(catalogue, content, key))
    await this.#publish(topic('catalogue', { model, version }), bytes, true)
    return bytes
  }

  /** Publishes what is desired of a device; returns its bytes. */
  async desire(
    device = 'dev-1',
    known: Partial<Desired> = {},
    { key = this.keys.privateKey as KeyObject, to = device } = {},
  ): Promise<Buffer> {
    const now = Date.now()
    const content: Desired = {
      type: 'desired',
      device,
      revision: known.revision ?? ++this.revision,
      issuedAt: now,
      expiresAt: now + day,
      model: 'digits',
      version: 1,
      catalogueSequence: 1,
      objective: { maximise: 'accuracy' },
      ...known,
    }
    const bytes = seal(desired, content, key)
    await this.#publish(topic('desired', { device: to }), bytes, true)
    return bytes
  }

  async send(to: string, payload: Buffer, retain = false): Promise<void> {
    await this.#publish(to, payload, retain)
  }

  /** What a service would have stored: each report once. */
  get stored(): readonly Report[] {
    return [...new Map(this.reports.map((report) => [report.id, report])).values()]
  }

  /** The newest `reported`. */
  get last(): Reported | undefined {
    return this.reported.at(-1)
  }

  /** Resolves with the first `reported`, of those to come or the newest, that `holds`. */
  async until(holds: (reported: Reported) => boolean, withinMs = 60_000 * patience): Promise<Reported> {
    const end = Date.now() + withinMs
    let seen = Math.max(0, this.reported.length - 1)
    for (;;) {
      for (; seen < this.reported.length; seen++) if (holds(this.reported[seen])) return this.reported[seen]
      if (Date.now() > end) throw new Error(`not within ${withinMs} ms; last: ${JSON.stringify(this.last)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async #received(name: string, payload: Buffer): Promise<void> {
    this.messages.push({ topic: name, payload })
    const to = parseTopic(name)
    if (to?.name === 'reported') this.reported.push(parse(reported, payload))
    if (to?.name === 'reports') {
      const found = parse(reports, payload).reports
      this.reports.push(...found)
      if (!this.acknowledges) return
      const ack = encode(reportsAck, { stored: found.map((r) => r.id) })
      await this.#publish(topic('reportsAck', { device: to.device }), ack)
    }
    if (to?.name === 'blocksRequest') await this.#serve(to.device, payload)
  }

  async #serve(device: string, payload: Buffer): Promise<void> {
    const request = parse(blocksRequest, payload)
    const bytes = this.models.get(request.digest)
    const blockBytes = this.#blockBytes.get(request.digest)
    if (!bytes || !blockBytes) return
    for (const index of wantedBlocks(request)) {
      const block = Buffer.from(bytes.subarray(index * blockBytes, (index + 1) * blockBytes))
      const bent = this.bend(index, block, request.digest)
      if (this.paceMs > 0) await new Promise((resolve) => setTimeout(resolve, this.paceMs))
      if (!bent || !this.#aedes) continue
      const key = `${request.digest}/${index}`
      this.served.set(key, (this.served.get(key) ?? 0) + 1)
      const message = Buffer.concat([blockHeader('block', request.digest, index, bent.length), bent])
      await this.#publish(topic('blocksData', { device }), message)
    }
  }

  #publish(to: string, payload: Buffer, retain = false): Promise<void> {
    if (retain) this.#retained.set(to, payload)
    const aedes = this.#aedes
    if (!aedes) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const packet = { cmd: 'publish' as const, topic: to, payload, qos: 0 as const, retain, dup: false }
      aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
    })
  }
}
