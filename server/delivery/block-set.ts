/** Indexes below `size`, a bit each: what of an artifact a device lacks. */
export class BlockSet {
  readonly #bits: Uint8Array
  #count = 0

  constructor(readonly size: number) {
    this.#bits = new Uint8Array((size + 7) >> 3)
  }

  get count(): number {
    return this.#count
  }

  has(index: number): boolean {
    return ((this.#bits[index >> 3] >> (index & 7)) & 1) === 1
  }

  add(index: number): void {
    if (index >= this.size || this.has(index)) return
    this.#bits[index >> 3] |= 1 << (index & 7)
    this.#count++
  }

  /** @returns whether it was there. */
  delete(index: number): boolean {
    if (!this.has(index)) return false
    this.#bits[index >> 3] &= ~(1 << (index & 7))
    this.#count--
    return true
  }

  clear(): void {
    this.#bits.fill(0)
    this.#count = 0
  }

  /** The lowest member from `from` upward; undefined where there is none. */
  next(from = 0): number | undefined {
    if (this.#count === 0) return
    for (let index = from; index < this.size; index++) {
      if ((index & 7) === 0 && this.#bits[index >> 3] === 0) index += 7
      else if (this.has(index)) return index
    }
  }
}
