import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'

/** What is known of a file before it is here: its size, and the SHA-256 (hex) of each of its blocks. */
export interface BlockList {
  readonly bytes: number
  readonly blockBytes: number
  readonly hashes: readonly string[]
}

const present = Buffer.from([1])

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

/**
 * A download under way: the file at its full size, and beside it a map with one byte a block. Blocks are
 * checked against the signed list before they are written. The map is only a hint to a restart, which
 * hashes every block it names again, so neither file needs flushing while blocks arrive.
 */
export class Partial {
  readonly #data: number
  readonly #map: number
  readonly #have: Uint8Array
  #missing: number
  #isClosed = false

  constructor(
    readonly path: string,
    readonly list: BlockList,
  ) {
    const resumed = existsSync(path) && existsSync(mapOf(path))
    this.#data = openSync(path, resumed ? 'r+' : 'w+')
    this.#map = openSync(mapOf(path), resumed ? 'r+' : 'w+')
    this.#have = new Uint8Array(list.hashes.length)
    this.#missing = list.hashes.length
    ftruncateSync(this.#data, list.bytes)
    ftruncateSync(this.#map, list.hashes.length)
    if (resumed) this.#trustOnlyWhatHashes()
  }

  get missing(): number {
    return this.#missing
  }

  has(index: number): boolean {
    return this.#have[index] === 1
  }

  /** Bytes of the block at `index`: the last one is shorter. */
  lengthOf(index: number): number {
    const { bytes, blockBytes } = this.list
    return Math.min(blockBytes, bytes - index * blockBytes)
  }

  /**
   * Takes a block in. False if it is not of this file or does not hash to what was signed.
   * @throws a system error (ENOSPC) if the disk will not have it; the block then counts as missing.
   */
  accept(index: number, block: Uint8Array): boolean {
    if (!Number.isInteger(index) || index < 0 || index >= this.#have.length) return false
    if (this.#have[index]) return true
    if (block.length !== this.lengthOf(index) || sha256(block) !== this.list.hashes[index]) return false
    writeFully(this.#data, block, index * this.list.blockBytes)
    writeFully(this.#map, present, index)
    this.#have[index] = 1
    this.#missing--
    return true
  }

  /** Flushes the finished file to the disk; the map goes. */
  finish(): void {
    fsyncSync(this.#data)
    this.close()
    rmSync(mapOf(this.path), { force: true })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#data)
    closeSync(this.#map)
  }

  /** Removes the download. */
  discard(): void {
    this.close()
    discardPartial(this.path)
  }

  #trustOnlyWhatHashes(): void {
    readSync(this.#map, this.#have, 0, this.#have.length, 0)
    const block = Buffer.allocUnsafe(this.list.blockBytes)
    for (let i = 0; i < this.#have.length; i++) {
      if (this.#have[i] === 0) continue
      const length = this.lengthOf(i)
      const read = readSync(this.#data, block, 0, length, i * this.list.blockBytes)
      const whole = read === length && sha256(block.subarray(0, length)) === this.list.hashes[i]
      this.#have[i] = whole ? 1 : 0
      if (whole) this.#missing--
    }
  }
}

/** Removes what is left of a download at `path`. */
export function discardPartial(path: string): void {
  rmSync(path, { force: true })
  rmSync(mapOf(path), { force: true })
}

const mapOf = (path: string) => `${path}.map`

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at)
}
