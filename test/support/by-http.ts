import { createHash } from 'node:crypto'
import { createWriteStream, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EspalierError } from '@espalier/shared'

/** A file as one response, hashed and written as it comes, flushed, and thrown away. @returns ms */
export async function fetchByHttp(
  url: string,
  path: string,
  digest: string,
  signal?: AbortSignal,
): Promise<number> {
  const began = performance.now()
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    get(url, { signal, agent: false }, resolve).on('error', reject),
  )
  const hash = createHash('sha256')
  const hashing = new Transform({
    transform(chunk, _, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(response, hashing, createWriteStream(path, { flush: true }))
  if (hash.digest('hex') !== digest) throw new EspalierError('INTERNAL', 'the file came damaged over HTTP')
  const ms = performance.now() - began
  rmSync(path)
  return ms
}
