const leastBlocks = 4
const mostBytes = 8 * 2 ** 20
/** Room above the path's own product, so that the window can find more bandwidth when there is some. */
const gain = 2
/** What the two ends may take to get round to it, ms, beside the path: a busy processor is slower than a short wire. */
const endsMs = 50

/**
 * How many blocks may be under way at once: from 4 upward, doubled while nothing is lost, halved when something
 * is, and never above bandwidth × (twice the least round-trip time + 50 ms for the ends; BBR's bound, Cardwell et al.,
 * ACM Queue 2016, has the first part) or 8 MiB.
 */
export class Window {
  #blocks = leastBlocks
  #leastRttMs = Number.POSITIVE_INFINITY
  #bytesPerMs = 0

  constructor(readonly blockBytes: number) {}

  get blocks(): number {
    return this.#blocks
  }

  /** The least round-trip time seen, ms; 0 before the first. */
  get rttMs(): number {
    return Number.isFinite(this.#leastRttMs) ? this.#leastRttMs : 0
  }

  /** Time from a request to the first of its blocks, ms. */
  answered(rttMs: number): void {
    this.#leastRttMs = Math.min(this.#leastRttMs, Math.max(rttMs, 0.1))
  }

  /** A window's worth of blocks came whole in `ms`. */
  delivered(bytes: number, ms: number): void {
    this.#bytesPerMs = Math.max(this.#bytesPerMs * 0.9, bytes / Math.max(ms, 0.1))
    this.#blocks = Math.min(this.#blocks * 2, this.#most())
  }

  /** Something under way did not come. */
  lost(): void {
    this.#blocks = Math.max(leastBlocks, Math.floor(this.#blocks / 2))
    this.#bytesPerMs /= 2
  }

  #most(): number {
    const product = Number.isFinite(this.#leastRttMs)
      ? this.#bytesPerMs * (this.#leastRttMs * gain + endsMs)
      : 0
    return Math.max(leastBlocks, Math.floor(Math.min(product, mostBytes) / this.blockBytes))
  }
}
