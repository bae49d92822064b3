import type { Allocation } from './execution.js'

/** Sizes are rounded up to it, and pieces of half a chunk or more are split off. */
const GRAIN = 256
const FIRST_REGION = 2 ** 20
/** A region has a table of eight bytes for each grain, which is written whole. */
const TABLE = 8 / GRAIN

interface Chunk {
  readonly region: number
  readonly from: number
  readonly size: number
}

/**
 * Bytes that a run touches of onnxruntime's arena (BFCArena of 1.30, extended by powers of two), which is never given
 * back: the smallest free chunk that is large enough is taken; where there is none, a region is added that is twice the
 * last one, or as much larger as is needed; what is freed grows together with its free neighbours.
 * @param allocations in the order in which they are made
 * @param kept pieces that a session takes of the arena when it is made, in bytes, and keeps
 */
export function arenaBytes(allocations: readonly Allocation[], kept: readonly number[] = []): number {
  const arena = new Arena()
  for (const bytes of kept) if (bytes > 0) arena.take(bytes)
  let alive: { readonly dies: number; readonly chunk: Chunk }[] = []
  for (const { bytes, born, dies } of allocations) {
    for (const a of alive) if (a.dies < born) arena.give(a.chunk)
    alive = alive.filter((a) => a.dies >= born)
    if (bytes > 0) alive.push({ dies, chunk: arena.take(bytes) })
  }
  return arena.touched()
}

/** By size, then by address: regions are mapped from high addresses to low ones. */
const order = (a: Chunk, b: Chunk) => a.size - b.size || b.region - a.region || a.from - b.from

class Arena {
  #free: Chunk[] = []
  readonly #used: Chunk[] = []
  #regions = 0
  #bytes = 0
  #next = FIRST_REGION

  take(bytes: number): Chunk {
    const size = GRAIN * Math.ceil(bytes / GRAIN)
    let found = this.#smallest(size)
    if (found) this.#free = this.#free.filter((c) => c !== found)
    else found = this.#extend(size)
    const { region, from } = found
    this.#used.push({ region, from, size })
    if (found.size < 2 * size) return found
    this.#free.push({ region, from: from + size, size: found.size - size })
    return { region, from, size }
  }

  give(chunk: Chunk): void {
    let { from, size } = chunk
    this.#free = this.#free.filter((c) => {
      const beside = c.region === chunk.region && (c.from === from + size || c.from + c.size === from)
      if (beside) {
        from = Math.min(from, c.from)
        size += c.size
      }
      return !beside
    })
    this.#free.push({ region: chunk.region, from, size })
  }

  /** Bytes of all that was ever taken, what was taken again counted once, and of the tables of the regions. */
  touched(): number {
    let [bytes, region, end] = [TABLE * this.#bytes, -1, 0]
    for (const c of this.#used.sort((a, b) => a.region - b.region || a.from - b.from)) {
      if (c.region !== region) [region, end] = [c.region, 0]
      bytes += Math.max(0, c.from + c.size - Math.max(c.from, end))
      end = Math.max(end, c.from + c.size)
    }
    return bytes
  }

  #smallest(size: number): Chunk | undefined {
    return this.#free
      .filter((c) => c.size >= size)
      .reduce<Chunk | undefined>((best, c) => (best && order(best, c) <= 0 ? best : c), undefined)
  }

  #extend(size: number): Chunk {
    const enough = size <= this.#next
    while (size > this.#next) this.#next *= 2
    const region = { region: this.#regions++, from: 0, size: this.#next }
    this.#bytes += this.#next
    if (enough) this.#next *= 2
    return region
  }
}
