import { mkdirSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { EspalierError, formatBytes } from '@espalier/shared'
import {
  type BlockService,
  type BlocksRequest,
  type CatalogueVariant,
  parseBlock,
} from '@espalier/shared/messages/index.js'
import type { Clock } from '../clock.js'
import { type Artifacts, hashFile } from '../store/artifacts.js'
import { diskError } from '../store/errors.js'
import { discardPartial, Partial } from '../store/partial.js'
import { Download } from './download.js'

export interface FetcherOptions {
  readonly artifacts: Artifacts
  readonly clock: Clock
  /** Publishes a request; false while the service or the broker is away. */
  readonly send: (request: BlocksRequest) => boolean
  readonly isServed: () => boolean
  /** How the service sends blocks, as it says itself. */
  readonly service?: () => BlockService
  /** Where blocks come that go to many at once. */
  readonly crowd?: {
    /** False if the broker refuses. */
    readonly listen: (digest: string) => Promise<boolean>
    readonly leave: (digest: string) => void
  }
  /** When the connection last brought anything. */
  readonly heardAt?: () => number
  readonly onProgress: (doneBytes: number, totalBytes: number) => void
  readonly onDamaged: (error: EspalierError) => void
  readonly patienceMs?: number
}

/** Free bytes to leave beside a download, for manifests, reports and the rest of the machine. */
const reserveBytes = 2 ** 20

/** Brings artifacts to this disk, one at a time; what is half here after a kill is gone on with. */
export class Fetcher {
  readonly #options: FetcherOptions
  #download: Download | null = null

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  get isServed(): boolean {
    return this.#options.isServed()
  }

  /** The service is back, and remembers nothing of what was asked of it. */
  resume(): void {
    this.#download?.resume()
  }

  /** A message of the block topic. What is malformed is dropped: its place stays missing and is asked for again. */
  take(message: Uint8Array): void {
    try {
      this.#download?.take(parseBlock(message))
    } catch (e) {
      if (!(e instanceof EspalierError)) throw e
      this.#options.onDamaged(e)
    }
  }

  /**
   * Fetches a variant to its place for `install`, every block and then the whole checked.
   * @throws DISK_FULL, ARTIFACT_UNKNOWN, ARTIFACT_DAMAGED, BLOCK_INVALID, or the signal's reason
   */
  async fetch(variant: CatalogueVariant, signal: AbortSignal): Promise<void> {
    const path = this.#options.artifacts.partialPath(variant.digest)
    try {
      const partial = this.#open(path, variant)
      try {
        await this.#fill(partial, variant, signal)
        partial.finish()
      } finally {
        partial.close()
      }
    } catch (e) {
      throw diskError(e, dirname(path))
    }
    if ((await hashFile(path)) !== variant.digest) {
      discardPartial(path)
      throw new EspalierError(
        'ARTIFACT_DAMAGED',
        `${variant.name}: every block is as signed but the whole is not ${variant.digest.slice(0, 12)}; it was thrown away`,
      )
    }
  }

  #open(path: string, { bytes, blockBytes, blocks, name }: CatalogueVariant): Partial {
    if (blocks.length !== Math.ceil(bytes / blockBytes)) {
      throw new EspalierError(
        'MESSAGE_INVALID',
        `${name}: ${blocks.length} block hashes do not make ${bytes} bytes`,
      )
    }
    mkdirSync(dirname(path), { recursive: true })
    const partial = new Partial(path, { bytes, blockBytes, hashes: blocks })
    const needed = Math.min(partial.missing * blockBytes, bytes) + reserveBytes
    if (freeBytes(path) < needed) this.#options.artifacts.evict([variantOf(path)])
    const free = freeBytes(path)
    if (free >= needed) return partial
    partial.close()
    throw new EspalierError(
      'DISK_FULL',
      `${name} needs ${formatBytes(needed)} under ${dirname(path)}, ${formatBytes(free)} are free; free some and it is tried again`,
    )
  }

  async #fill(
    partial: Partial,
    { digest, bytes, blockBytes }: CatalogueVariant,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, send, onProgress, onDamaged, patienceMs, service, crowd, heardAt } = this.#options
    const done = () => Math.max(0, bytes - partial.missing * blockBytes)
    this.#download = new Download(partial, {
      digest,
      clock,
      send,
      onDamaged,
      patienceMs,
      service,
      heardAt,
      listen: async () => (await crowd?.listen(digest)) ?? false,
      leave: () => crowd?.leave(digest),
      onBlock: () => onProgress(done(), bytes),
    })
    try {
      await this.#download.run(signal)
    } finally {
      this.#download = null
    }
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path))
  return bavail * bsize
}

const variantOf = (path: string) => path.slice(path.lastIndexOf('/') + 1).split('.')[0]
