import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'

/** How artifacts are cut. */
export const blockBytes = 64 * 1024
/** Read together. What waits for a device keeps all of it in memory. */
const spanBlocks = 2

/** An artifact as it travels: its size and the SHA-256 of every block. */
export interface BlockList {
  readonly bytes: number
  readonly blockBytes: number
  readonly blocks: readonly string[]
}

/** Where artifacts are, by their SHA-256. */
export interface Artifacts {
  path(digest: string): string
}

/** Reads an artifact once and lists its blocks. @throws ARTIFACT_UNKNOWN if it is absent or no longer what its digest says. */
export async function listBlocks(artifacts: Artifacts, digest: string): Promise<BlockList> {
  const whole = createHash('sha256')
  const blocks: string[] = []
  let bytes = 0
  const file = await openArtifact(artifacts, digest)
  try {
    const buffer = Buffer.alloc(blockBytes)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, blockBytes, bytes)
      if (bytesRead === 0) break
      const block = buffer.subarray(0, bytesRead)
      whole.update(block)
      blocks.push(createHash('sha256').update(block).digest('hex'))
      bytes += bytesRead
      if (bytesRead < blockBytes) break
    }
  } finally {
    await file.close()
  }
  if (whole.digest('hex') === digest) return { bytes, blockBytes, blocks }
  throw new EspalierError(
    'ARTIFACT_UNKNOWN',
    `the file of artifact ${digest} has changed on disk and is not offered; compile the variant again`,
  )
}

/**
 * Reads blocks, several at a time, and keeps the latest `maxBytes` of them: a thousand devices that fetch
 * the same artifact share one buffer of each block.
 */
export class BlockReader {
  readonly #artifacts: Artifacts
  readonly #maxBytes: number
  readonly #spans = new Map<string, Promise<Buffer>>()

  constructor(artifacts: Artifacts, maxBytes = 32 * 1024 * 1024) {
    this.#artifacts = artifacts
    this.#maxBytes = maxBytes
  }

  /** Block `index` of an artifact; the last one is shorter. @throws ARTIFACT_UNKNOWN */
  async block(digest: string, index: number): Promise<Buffer> {
    const span = await this.#span(digest, Math.floor(index / spanBlocks))
    const at = (index % spanBlocks) * blockBytes
    return span.subarray(at, at + blockBytes)
  }

  #span(digest: string, number: number): Promise<Buffer> {
    const key = `${digest}/${number}`
    const known = this.#spans.get(key)
    if (known) return known
    const read = this.#read(digest, number * spanBlocks * blockBytes)
    this.#spans.set(key, read)
    read.catch(() => this.#spans.delete(key))
    const [oldest] = this.#spans.keys()
    if (this.#spans.size * spanBlocks * blockBytes > this.#maxBytes) this.#spans.delete(oldest)
    return read
  }

  async #read(digest: string, position: number): Promise<Buffer> {
    const file = await openArtifact(this.#artifacts, digest)
    try {
      const { size } = await file.stat()
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(spanBlocks * blockBytes, size - position)))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }
}

async function openArtifact(artifacts: Artifacts, digest: string) {
  try {
    return await open(artifacts.path(digest), 'r')
  } catch (cause) {
    throw new EspalierError('ARTIFACT_UNKNOWN', `the file of artifact ${digest} cannot be read`, { cause })
  }
}
