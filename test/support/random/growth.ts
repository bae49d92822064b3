import { Net } from '../../zoo/index.js'

/** A value [n, channels, size, size] of a network that grows. */
export interface Map4 {
  readonly name: string
  readonly channels: number
  readonly size: number
}

/** What a step may draw: `pick(n)` is a whole number below n. The same step draws the same numbers again. */
export class Growth {
  readonly net: Net
  /** Every value that a later step may come back to. */
  readonly maps: Map4[]
  #draws: () => number = () => 0

  constructor(size: number, channels: number) {
    this.net = new Net('random')
    this.maps = [{ name: this.net.input('x', ['n', channels, size, size]), channels, size }]
  }

  get last(): Map4 {
    return this.maps[this.maps.length - 1]
  }

  /** The numbers that the next step draws from: xorshift of `seed`. */
  draw(random: () => number): void {
    this.#draws = random
  }

  pick(n: number): number {
    return Math.min(n - 1, Math.floor(this.#draws() * n))
  }

  from<T>(list: readonly T[]): T {
    return list[this.pick(list.length)]
  }

  /** An earlier value of this size, perhaps of as many channels; undefined if there is none. */
  earlier(size: number, channels?: number): Map4 | undefined {
    const fits = this.maps
      .slice(0, -1)
      .filter((m) => m.size === size && (channels === undefined || m.channels === channels))
    return fits.length > 0 ? this.from(fits) : undefined
  }

  add(name: string, channels: number, size = this.last.size): void {
    this.maps.push({ name, channels, size })
  }
}

/** Appends to the last value; false where it does not go with it. */
export type Step = (g: Growth) => boolean
