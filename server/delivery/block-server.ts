import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  type BlocksRequest,
  blockHeader,
  blocksRequest,
  lackedBlocks,
  mostBlocks,
  parse,
} from '@espalier/shared/messages/index.js'
import type { Broker, Incoming, Logger } from '../broker/index.js'
import { type Artifacts, type BlockList, BlockReader } from './artifact-blocks.js'
import { BlockSet } from './block-set.js'
import { type CrowdSettings, Crowds } from './crowds.js'

export interface BlockServerOptions {
  readonly broker: Broker
  readonly artifacts: Artifacts
  /** The artifact if devices may have it now. */
  readonly offered: (digest: string) => BlockList | undefined
  readonly log: Logger
  readonly crowd?: CrowdSettings
}

const maxWaitingOfOne = 256 * 1024
const maxWaitingOfAll = 32 * 1024 * 1024

/** What one device lacks of an artifact, and how many blocks of it may still be sent. */
export interface Download {
  readonly device: string
  readonly digest: string
  readonly lacks: BlockSet
  /** What went to it as one of many and may still be on its way: a request that is not fresh knows nothing of that. */
  readonly passed: BlockSet
  credit: number
  /** Whether a pass for many looks after it, or the device's own loop. */
  by: 'nobody' | 'itself' | 'crowd'
}

/**
 * Sends devices the blocks they ask for: each device at the pace of its own connection, or many that listen at once by
 * one pass for all. Of a device it remembers what it lacks while something is being sent, and nothing more: after a
 * restart the device knows best.
 */
export class BlockServer {
  readonly #options: BlockServerOptions
  readonly #reader: BlockReader
  readonly #downloads = new Map<string, Download>()
  readonly #crowds: Crowds
  /** What has been sent since the start; a block for many counts once. */
  readonly sent = { blocks: 0, bytes: 0, forMany: 0 }

  constructor(options: BlockServerOptions) {
    this.#options = options
    this.#reader = new BlockReader(options.artifacts)
    this.#crowds = new Crowds({
      ...{ broker: options.broker, reader: this.#reader, settings: options.crowd },
      sent: (bytes) => this.#count(bytes, 1),
      release: (download, failure) => this.#release(download, failure),
    })
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
    const lacked = lackedBlocks(request)
    const beyond = lacked.find((index) => index >= list.blocks.length)
    if (beyond !== undefined)
      throw new EspalierError(
        'BLOCK_INVALID',
        `block ${beyond} of ${request.digest} was asked for, which has ${list.blocks.length}`,
      )
    const download = this.#download(device, request, list.blocks.length)
    for (const index of lacked) if (!download.passed.has(index)) download.lacks.add(index)
    download.credit = Math.min(download.credit + request.window, mostBlocks)
    if (!request.listens) this.#crowds.leave(download)
    else if (this.#crowds.join(download)) return
    void this.#serve(download)
  }

  /** What is known of the device's download, without what a fresh start or another artifact makes void. */
  #download(device: string, { digest, fresh }: BlocksRequest, blocks: number): Download {
    const known = this.#downloads.get(device)
    if (known?.digest === digest) {
      if (fresh) {
        known.lacks.clear()
        known.passed.clear()
        known.credit = 0
      }
      return known
    }
    if (known) this.#drop(known)
    const [lacks, passed] = [new BlockSet(blocks), new BlockSet(blocks)]
    const download: Download = { device, digest, lacks, passed, credit: 0, by: 'nobody' }
    this.#downloads.set(device, download)
    return download
  }

  /** Drops what was still to be sent. */
  #drop(download: Download): void {
    download.lacks.clear()
    this.#forget(download)
  }

  /** One that lacks more asks again, and is still one of those who listen. */
  #forget(download: Download): void {
    if (download.lacks.count === 0) this.#crowds.leave(download)
    if (this.#downloads.get(download.device) === download) this.#downloads.delete(download.device)
  }

  async #serve(download: Download): Promise<void> {
    if (download.by !== 'nobody') return
    download.by = 'itself'
    const { device, digest, lacks } = download
    try {
      for (let index = lacks.next(); index !== undefined && download.credit > 0; index = lacks.next()) {
        if (this.#crowds.takes(download)) return
        lacks.delete(index)
        download.credit--
        const block = await this.#reader.block(digest, index)
        const header = blockHeader('block', digest, index, block.length)
        if (!(await this.#options.broker.sendBlock(device, header, block, this.#mostWaiting()))) break
        this.#count(block.length)
      }
      this.#forget(download)
    } catch (thrown) {
      this.#drop(download)
      await this.#refuse(device, digest, asEspalierError(thrown))
    }
  }

  /** How much may wait for one device: devices at different places of different artifacts share no buffers. */
  #mostWaiting(): number {
    return Math.min(maxWaitingOfOne, Math.floor(maxWaitingOfAll / this.#downloads.size))
  }

  /** Takes a download back from a pass for many. */
  #release(download: Download, failure?: EspalierError): void {
    download.by = 'nobody'
    if (!failure) void this.#serve(download)
    else {
      this.#drop(download)
      void this.#refuse(download.device, download.digest, failure)
    }
  }

  #count(bytes: number, forMany = 0): void {
    this.sent.blocks++
    this.sent.bytes += bytes
    this.sent.forMany += forMany
  }

  async #refuse(device: string, digest: string, { code, message }: EspalierError): Promise<void> {
    this.#options.log.warn({ device, digest, code }, message)
    const payload = Buffer.from(JSON.stringify({ code, message }))
    await this.#options.broker.sendBlock(device, blockHeader('refusal', digest, 0, payload.length), payload)
  }
}
