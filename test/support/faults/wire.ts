import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

type Way = 'up' | 'down'

/** How the wire treats what passes; each is off by default. */
export interface Trouble {
  /** Every packet waits so long, ms. */
  delayMs: number
  /** This share of packets has one of its bits flipped. */
  flip: number
  /** This share of publications is sent twice, or changes places with the next. */
  repeat: number
  reorder: number
}

/** Publications that are waited for: which way they go, and their topic. */
export interface Sight {
  readonly way: Way
  readonly topic: RegExp
}

/** A report on its way to the service, and the service's word that one is stored. */
export const aReport: Sight = { way: 'up', topic: /\/reports\/\d/ }
export const reportStored: Sight = { way: 'down', topic: /\/reports\/ack/ }

const calm: Trouble = { delayMs: 0, flip: 0, repeat: 0, reorder: 0 }
const PUBLISH = 3

/**
 * A bad network between one device and its broker: it delays, damages, repeats and reorders MQTT packets, cuts
 * connections (also in the very moment in which a report, or the word that it is stored, is on its way), and sends again
 * what it heard long ago.
 */
export class Wire {
  trouble: Trouble = calm
  readonly #random: () => number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Publications to the device whose topic ends in `/desired` or `/catalogue`, as they came. */
  readonly #heard: Buffer[] = []
  #device: Socket | null = null
  #target = 0
  #watched: (Sight & { readonly seen: () => boolean }) | null = null

  constructor(random: () => number) {
    this.#random = random
    this.#server = createServer((near) => this.#join(near))
  }

  /** Opens the wire; resolves with its port. @param target the broker's port on loopback */
  async open(target: number): Promise<number> {
    this.#target = target
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  calm(): void {
    this.trouble = calm
    this.#watched = null
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /**
   * Waits for such a publication, `ms` at most. If it is to be `lost` it never arrives, and the connection is cut in its
   * place; otherwise it has just been passed on.
   */
  async next(sight: Sight, { lost, ms }: { lost: boolean; ms: number }): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      const seen = () => {
        this.#watched = null
        clearTimeout(timer)
        resolve()
        return lost
      }
      this.#watched = { ...sight, seen }
    })
    this.#watched = null
  }

  /** Sends the device one of the signed documents that it was sent before; false if there was none. */
  replay(): boolean {
    const old = this.#heard[Math.floor(this.#random() * this.#heard.length)]
    if (!old || !this.#device?.writable) return false
    this.#device.write(old)
    return true
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1')
    this.#device = near
    for (const [from, to, way] of [
      [near, far, 'up'],
      [far, near, 'down'],
    ] as const) {
      this.#sockets.add(from)
      const packets = new Packets()
      let held: Buffer | null = null
      from.on('data', (chunk) => {
        for (const packet of packets.take(chunk)) held = this.#pass(packet, held, to, way)
      })
      from.on('error', () => from.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }

  /** Passes a packet on, or gives it back to be held until the next one has passed. */
  #pass(packet: Buffer, held: Buffer | null, to: Socket, way: Way): Buffer | null {
    const { delayMs, flip, repeat, reorder } = this.trouble
    const isPublication = packet[0] >> 4 === PUBLISH
    const head = isPublication ? packet.toString('latin1', 0, 120) : ''
    const { way: watchedWay, topic, seen } = this.#watched ?? {}
    if (watchedWay === way && topic?.test(head) && seen?.()) {
      this.cut()
      return null
    }
    if (way === 'down' && /\/(desired|catalogue)/.test(head)) this.#heard.push(packet)
    if (isPublication && held === null && this.#random() < reorder) return packet
    let sent = packet
    if (this.#random() < flip) {
      sent = Buffer.from(packet)
      sent[Math.floor(this.#random() * sent.length)] ^= 1 << Math.floor(this.#random() * 8)
    }
    const all = [sent, ...(isPublication && this.#random() < repeat ? [packet] : []), ...(held ? [held] : [])]
    const send = () => {
      if (to.writable) for (const one of all) to.write(one)
    }
    if (delayMs > 0) setTimeout(send, delayMs)
    else send()
    return null
  }
}

/** Cuts a stream into MQTT packets: a byte of type and flags, the length in seven bits a byte, the rest (MQTT 3.1.1, 2.2). */
class Packets {
  #rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const packets: Buffer[] = []
    for (;;) {
      let [length, header] = [0, 1]
      for (let shift = 0; ; shift += 7) {
        if (header >= this.#rest.length) return packets
        const byte = this.#rest[header++]
        length += (byte & 127) << shift
        if (byte < 128) break
      }
      if (this.#rest.length < header + length) return packets
      packets.push(this.#rest.subarray(0, header + length))
      this.#rest = this.#rest.subarray(header + length)
    }
  }
}
