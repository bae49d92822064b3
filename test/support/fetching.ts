import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemClock } from '@espalier/agent/clock.js'
import { Fetcher } from '@espalier/agent/fetch/fetcher.js'
import { Link } from '@espalier/agent/net/link.js'
import { Artifacts } from '@espalier/agent/store/artifacts.js'
import type { EspalierError } from '@espalier/shared'
import {
  type BlocksRequest,
  blocksRequest,
  type CatalogueVariant,
  encode,
  parse,
  parseBlock,
  type ServicePresence,
  servicePresence,
} from '@espalier/shared/messages/index.js'
import { topic, topicFilter } from '@espalier/shared/topics.js'

export interface FetchingOptions {
  readonly id: string
  readonly password: string
  readonly broker: string
  readonly folder: string
  /** What the device makes of what the service says of itself. */
  readonly hears?: (said: ServicePresence) => ServicePresence
  readonly patienceMs?: number
  readonly keepaliveSeconds?: number
}

/** The part of the agent that fetches: its connection, its lane for blocks, its files. */
export class FetchingDevice {
  readonly requests: BlocksRequest[] = []
  readonly damaged: EspalierError[] = []
  /** Blocks that arrived, wanted or not. */
  arrived = 0
  readonly #artifacts: Artifacts
  readonly #link: Link
  readonly #fetcher: Fetcher
  readonly #online: Promise<void>
  #service: ServicePresence | undefined
  #isHeard: () => void = () => {}

  constructor({ id, password, broker, folder, hears, patienceMs, keepaliveSeconds }: FetchingOptions) {
    this.#artifacts = new Artifacts(folder)
    this.#artifacts.prepare()
    this.#online = new Promise((resolve) => {
      this.#isHeard = resolve
    })
    const artifact = (digest: string) => topicFilter('artifact', { digest })
    this.#fetcher = new Fetcher({
      artifacts: this.#artifacts,
      clock: systemClock,
      isServed: () => this.#link.online && this.#service?.online === true,
      service: () => this.#service?.blocks ?? { paced: false, broadcasts: false },
      crowd: {
        listen: (digest) => this.#link.listen(artifact(digest)),
        leave: (digest) => this.#link.unlisten(artifact(digest)),
      },
      heardAt: () => this.#link.heardAt,
      send: (request) => {
        if (!this.#link.online) return false
        this.requests.push(request)
        const payload = encode(blocksRequest, request)
        this.#link.publish(topic('blocksRequest', { device: id }), payload).catch(() => undefined)
        return true
      },
      onProgress: () => {},
      onDamaged: (error) => this.damaged.push(error),
      patienceMs,
    })
    this.#link = new Link({
      credential: { id, password, broker, servicePublicKey: '' },
      agentVersion: 'test',
      clock: systemClock,
      nextEpoch: () => Date.now(),
      subscriptions: [topic('blocksData', { device: id }), topic('servicePresence', {})],
      onMessage: (to, payload) => {
        if (to.name !== 'servicePresence') return
        const said = parse(servicePresence, payload)
        this.#service = hears ? hears(said) : said
        if (said.online) this.#fetcher.resume()
        this.#isHeard()
      },
      onBlock: (payload) => {
        if (isBlock(payload)) this.arrived++
        this.#fetcher.take(payload)
      },
      onOnline: () => {},
      onOffline: () => {},
      keepaliveSeconds,
    })
  }

  /** Resolves when it has heard of the service. */
  async connect(): Promise<this> {
    this.#link.start()
    await this.#online
    return this
  }

  /** Fetches a variant, every block and the whole checked, and throws it away again. @returns ms */
  async fetch(variant: CatalogueVariant, signal = new AbortController().signal): Promise<number> {
    const began = performance.now()
    await this.#fetcher.fetch(variant, signal)
    const ms = performance.now() - began
    rmSync(dirname(this.#artifacts.partialPath(variant.digest)), { recursive: true })
    return ms
  }

  stop(): Promise<void> {
    return this.#link.stop()
  }
}

function isBlock(message: Uint8Array): boolean {
  try {
    return parseBlock(message).kind === 'block'
  } catch {
    return false
  }
}
