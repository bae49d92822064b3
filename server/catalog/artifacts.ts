import { createHash, randomUUID } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EspalierError, formatBytes } from '@espalier/shared'
import { storeError } from '../store/index.js'

/** Bytes that came in, hashed and on disk, but not accepted yet. */
export interface Staged {
  readonly path: string
  readonly digest: string
  readonly bytes: number
  /** Puts it among the artifacts under its digest. */
  keep(): Promise<void>
  /** Removes it; after `keep` this does nothing. */
  discard(): Promise<void>
}

const dayMs = 24 * 3600 * 1000

/** Files under their SHA-256, below `root`. A file is there whole or not at all. */
export class ArtifactStore {
  readonly #root: string
  readonly #incoming: string
  /** When a digest was last put here by this process: what is about it may not be in the database yet. */
  readonly #keptAt = new Map<string, number>()

  constructor(root: string) {
    this.#root = root
    this.#incoming = join(root, 'incoming')
    rmSync(this.#incoming, { recursive: true, force: true }) // what a crash left half written, or half removed
    mkdirSync(this.#incoming, { recursive: true })
  }

  path(digest: string): string {
    return join(this.#root, digest.slice(0, 2), digest)
  }

  has(digest: string): boolean {
    return existsSync(this.path(digest))
  }

  /** @throws ARTIFACT_UNKNOWN */
  async read(digest: string): Promise<{ stream: Readable; bytes: number }> {
    if (!this.has(digest)) throw new EspalierError('ARTIFACT_UNKNOWN', `no artifact ${digest} is stored here`)
    const path = this.path(digest)
    return { stream: createReadStream(path), bytes: (await stat(path)).size }
  }

  /**
   * Writes a stream to disk as it comes.
   * @throws UPLOAD_TOO_LARGE above `limitBytes`, UPLOAD_INCOMPLETE if it breaks off, DISK_FULL; nothing stays then.
   */
  async receive(source: Readable, limitBytes: number): Promise<Staged> {
    const path = join(this.#incoming, randomUUID())
    const hash = createHash('sha256')
    let bytes = 0
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length
        hash.update(chunk)
        if (bytes <= limitBytes) return done(null, chunk)
        done(
          new EspalierError(
            'UPLOAD_TOO_LARGE',
            `the upload is over ${formatBytes(limitBytes)}, the most this service takes`,
          ),
        )
      },
    })
    try {
      // The source is not destroyed with the rest: a request that is refused is still answered, on a whole connection.
      const chunks = source.iterator({ destroyOnReturn: false })
      await pipeline(chunks, meter, createWriteStream(path, { flags: 'wx', flush: true }))
    } catch (thrown) {
      await rm(path, { force: true })
      source.resume() // only now: the iterator lets go of the stream a tick later
      throw uploadError(thrown)
    }
    return this.#staged(path, hash.digest('hex'), bytes)
  }

  /** Takes a copy of a file that another part made. */
  async take(path: string): Promise<Staged> {
    return this.receive(createReadStream(path), Number.POSITIVE_INFINITY)
  }

  /** All that are stored, by digest. */
  async *digests(): AsyncGenerator<string> {
    for (const folder of await readdir(this.#root)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue
      for (const name of await readdir(join(this.#root, folder))) if (/^[0-9a-f]{64}$/.test(name)) yield name
    }
  }

  /**
   * Removes a file: it is gone before this returns, its bytes a little later. @returns how many; null for one that was
   * put here within the last day, since whoever did so may be about to name it
   */
  async remove(digest: string): Promise<number | null> {
    if ((this.#keptAt.get(digest) ?? Number.NEGATIVE_INFINITY) > performance.now() - dayMs) return null
    this.#keptAt.delete(digest)
    const path = join(this.#incoming, randomUUID())
    const { size } = statSync(this.path(digest))
    renameSync(this.path(digest), path)
    await rm(path, { force: true })
    return size
  }

  #staged(path: string, digest: string, bytes: number): Staged {
    const target = this.path(digest)
    return {
      path,
      digest,
      bytes,
      keep: async () => {
        this.#keptAt.set(digest, performance.now())
        const folder = dirname(target)
        await mkdir(folder, { recursive: true })
        await rename(path, target)
        const handle = await open(folder, 'r')
        await handle.sync().finally(() => handle.close())
      },
      discard: () => rm(path, { force: true }),
    }
  }
}

function uploadError(thrown: unknown): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  if (['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_EOF_STATE'].includes(code)) {
    return new EspalierError(
      'UPLOAD_INCOMPLETE',
      'the upload broke off before its end; nothing was stored, send it again',
      {
        cause: thrown,
      },
    )
  }
  return storeError(thrown)
}
