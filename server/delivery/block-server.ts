import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  blockHeader,
  blocksRequest,
  maxWindow,
  parse,
  wantedBlocks,
} from '@espalier/shared/messages/index.js'
import type { Broker, Incoming, Logger } from '../broker/index.js'
import { type Artifacts, type BlockList, BlockReader } from './artifact-blocks.js'

export interface BlockServerOptions {
  readonly broker: Broker
  readonly artifacts: Artifacts
  /** The artifact if devices may have it now. */
  readonly offered: (digest: string) => BlockList | undefined
  readonly log: Logger
}

interface Download {
  readonly digest: string
  readonly waiting: Set<number>
}

/**
 * Sends devices the blocks they ask for. Of a device it remembers only what waits to be sent, at most one
 * window, and forgets that when the device goes: after a restart the device knows best what it lacks.
 */
export class BlockServer {
  readonly #options: BlockServerOptions
  readonly #reader: BlockReader
  readonly #downloads = new Map<string, Download>()
  /** What has been sent since the start. */
  readonly sent = { blocks: 0, bytes: 0 }

  constructor(options: BlockServerOptions) {
    this.#options = options
    this.#reader = new BlockReader(options.artifacts)
    options.broker.handle('blocksRequest', (incoming) => this.#request(incoming))
  }

  #request({ device, payload }: Incoming): void {
    const request = parse(blocksRequest, payload)
    const list = this.#options.offered(request.digest)
    if (!list) {
      const message = `artifact ${request.digest} is not offered, or no longer; read the catalogue again`
      void this.#refuse(device, request.digest, new EspalierError('ARTIFACT_UNKNOWN', message))
      return
    }
    const wanted = wantedBlocks(request)
    const beyond = wanted.find((index) => index >= list.blocks.length)
    if (beyond !== undefined)
      throw new EspalierError(
        'BLOCK_INVALID',
        `block ${beyond} of ${request.digest} was asked for, which has ${list.blocks.length}`,
      )
    this.#add(device, request.digest, wanted, request.fresh ?? false)
  }

  #add(device: string, digest: string, wanted: readonly number[], fresh: boolean): void {
    const running = this.#downloads.get(device)
    if (running && running.digest === digest) {
      if (fresh) running.waiting.clear()
      this.#fill(running, wanted)
      return
    }
    running?.waiting.clear()
    const download: Download = { digest, waiting: new Set() }
    this.#fill(download, wanted)
    this.#downloads.set(device, download)
    void this.#serve(device, download)
  }

  #fill({ waiting }: Download, wanted: readonly number[]): void {
    for (const index of wanted) if (waiting.size < maxWindow) waiting.add(index)
  }

  async #serve(device: string, download: Download): Promise<void> {
    const { digest, waiting } = download
    try {
      for (const index of waiting) {
        waiting.delete(index)
        const block = await this.#reader.block(digest, index)
        const header = blockHeader('block', digest, index, block.length)
        if (!(await this.#options.broker.sendBlock(device, header, block))) break
        this.sent.blocks++
        this.sent.bytes += block.length
      }
    } catch (thrown) {
      await this.#refuse(device, digest, asEspalierError(thrown))
    } finally {
      if (this.#downloads.get(device) === download) this.#downloads.delete(device)
    }
  }

  async #refuse(device: string, digest: string, { code, message }: EspalierError): Promise<void> {
    this.#options.log.warn({ device, digest, code }, message)
    const payload = Buffer.from(JSON.stringify({ code, message }))
    await this.#options.broker.sendBlock(device, blockHeader('refusal', digest, 0, payload.length), payload)
  }
}
