import { createReadStream, createWriteStream, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline as piped, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createInflateRaw } from 'node:zlib'
import { EspalierError } from '@espalier/shared'
import { formatBytes } from '@espalier/shared/bytes.js'
import type { Place } from './files.js'

/** Compressed bytes in a file. */
export interface Compressed {
  readonly path: string
  readonly from: number
  /** Exclusive; the file's end if not given. */
  readonly to?: number
  readonly format: 'gzip' | 'deflate'
}

/**
 * Inflates what must come to `size` bytes: up to `memory` bytes into memory, else once into a scratch file that goes with
 * the process.
 * @throws DATA_INVALID for damaged bytes or another size, DATA_TOO_LARGE where the disk has no room, WRITE_FAILED
 */
export async function inflated(
  what: string,
  source: Compressed,
  size: number,
  memory: number,
): Promise<Place> {
  if (size <= memory) {
    const bytes = new Uint8Array(size)
    let at = 0
    const sink = new Writable({
      write(chunk: Uint8Array, _, done) {
        bytes.set(chunk, at)
        at += chunk.length
        done()
      },
    })
    await inflate(what, source, size, sink)
    return bytes
  }
  const path = join(scratchFor(what, size), 'values')
  await inflate(what, source, size, createWriteStream(path, { flags: 'wx' }))
  return { path, offset: 0 }
}

/** The first bytes of what is compressed, at most `length` of them. @throws DATA_INVALID */
export async function inflatedStart(what: string, source: Compressed, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let got = 0
  try {
    const start: AsyncIterable<Uint8Array> = piped(streamOf(source), inflaterOf(source), () => {})
    for await (const chunk of start) {
      parts.push(chunk)
      got += chunk.length
      if (got >= length) break
    }
  } catch (cause) {
    throw broken(what, cause)
  }
  return Buffer.concat(parts).subarray(0, length)
}

const streamOf = ({ path, from, to }: Compressed) =>
  createReadStream(path, { start: from, end: to === undefined ? undefined : to - 1 })

const inflaterOf = ({ format }: Compressed) => (format === 'gzip' ? createGunzip() : createInflateRaw())

const broken = (what: string, cause: unknown) =>
  new EspalierError(
    'DATA_INVALID',
    `${what} cannot be inflated: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
    {
      cause,
    },
  )

async function inflate(what: string, source: Compressed, size: number, sink: Writable): Promise<void> {
  let got = 0
  const counted = new Transform({
    transform(chunk: Uint8Array, _, done) {
      got += chunk.length
      done(got > size ? unlike() : null, chunk)
    },
    flush: (done) => done(got < size ? unlike() : null),
  })
  const unlike = () =>
    new EspalierError(
      'DATA_INVALID',
      `${what} declares ${size} bytes and inflates to ${got > size ? 'more' : got}`,
    )
  try {
    await pipeline(streamOf(source), inflaterOf(source), counted, sink)
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause
    const { syscall, code } = cause as NodeJS.ErrnoException
    if (syscall === 'write' || code === 'ENOSPC')
      throw new EspalierError('WRITE_FAILED', `cannot write ${what}, inflated, to '${tmpdir()}': ${code}`, {
        cause,
      })
    throw broken(what, cause)
  }
}

let folder: string | undefined
let made = 0

/** A new folder for one file. */
function scratchFor(what: string, size: number): string {
  const { bavail, bsize } = statfsSync(tmpdir())
  if (size > (bavail * bsize) / 2)
    throw new EspalierError(
      'DATA_TOO_LARGE',
      `${what} inflates to ${formatBytes(size)}, more than half of what is free in '${tmpdir()}'; store it uncompressed ` +
        '(numpy.savez, gunzip), then it is read where it is',
    )
  if (!folder) {
    const mine = mkdtempSync(join(tmpdir(), 'espalier-data-'))
    folder = mine
    process.once('exit', () => rmSync(mine, { recursive: true, force: true }))
  }
  return mkdtempSync(join(folder, `${made++}-`))
}
