/** What one client may send: so much a second, and as much as `burst` seconds bring at once. */
export interface Rate {
  readonly packetsPerSecond: number
  readonly bytesPerSecond: number
  readonly burst: number
}

/**
 * A device asks for a window of blocks, reports, and says what it does: even at 100 MB/s that is some 40 packets a second. Ten
 * seconds' worth at once lets an outbox empty itself after days without a network.
 */
export const deviceRate: Rate = { packetsPerSecond: 200, bytesPerSecond: 2 ** 20, burst: 10 }

/** A token bucket each for packets and bytes. Both may be overdrawn by one chunk; what was taken too much is waited for. */
export class Pace {
  readonly #rate: Rate
  readonly #now: () => number
  #packets: number
  #bytes: number
  #at: number

  constructor(rate: Rate, now: () => number = () => performance.now()) {
    this.#rate = rate
    this.#now = now
    this.#packets = rate.packetsPerSecond * rate.burst
    this.#bytes = rate.bytesPerSecond * rate.burst
    this.#at = now()
  }

  /** Counts what came. @returns how long nothing more may be taken, ms; 0 where more may come. */
  spend(packets: number, bytes: number): number {
    const { packetsPerSecond, bytesPerSecond, burst } = this.#rate
    const seconds = (this.#now() - this.#at) / 1000
    this.#at = this.#now()
    this.#packets = Math.min(packetsPerSecond * burst, this.#packets + seconds * packetsPerSecond) - packets
    this.#bytes = Math.min(bytesPerSecond * burst, this.#bytes + seconds * bytesPerSecond) - bytes
    const short = Math.max(-this.#packets / packetsPerSecond, -this.#bytes / bytesPerSecond, 0)
    return Math.ceil(short * 1000)
  }
}
