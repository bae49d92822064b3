import { Duplex } from 'node:stream'

/** The lane for blocks: which topics it takes out of the stream, and who gets their payloads. */
export interface BlockLane {
  takes(topic: string): boolean
  /** Something came, of whatever kind. */
  heard?(): void
  /** `payload` is only good during the call: its memory is used again. */
  block(topic: string, payload: Buffer): void
}

/** What the lane needs of a connected socket. */
export interface Wire {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): void
  end(done: () => void): void
  destroy(): void
  pause(): void
  resume(): void
}

export class PacketTooLarge extends Error {}

const PUBLISH = 3
const longestHeader = 5
const maxPacketBytes = 16 * 2 ** 20
const laneBytes = 160 * 1024

/**
 * A byte stream between a socket and MQTT.js that takes QoS 0 PUBLISH packets on the lane's topics out of what
 * arrives and hands their payloads over without allocating: a fetch of any size then leaves the agent's resident
 * memory where it was. All other bytes pass through unchanged. Framing as in MQTT 3.1.1, sections 2.2 and 3.3.
 */
export class LaneStream extends Duplex {
  readonly #lane: BlockLane
  readonly #header = Buffer.alloc(longestHeader)
  #headerLength = 0
  #body: Buffer | null = null
  #bodyLength = 0
  #bodyWanted = 0
  #passing = 0
  #wire: Wire | null = null

  constructor(lane: BlockLane) {
    super({ decodeStrings: true })
    this.#lane = lane
  }

  /** Gives the stream its socket: what is written goes there. */
  attach(wire: Wire): void {
    this.#wire = wire
  }

  /** Takes in what the socket read. `chunk` may be overwritten afterwards. */
  arrived(chunk: Buffer): void {
    this.#lane.heard?.()
    for (let at = 0; at < chunk.length && !this.destroyed; ) {
      if (this.#passing > 0) at = this.#pass(chunk, at)
      else if (this.#bodyWanted > 0) at = this.#gather(chunk, at)
      else at = this.#readHeader(chunk, at)
    }
  }

  /** The other side has closed. */
  ended(): void {
    this.push(null)
  }

  override _read(): void {
    this.#wire?.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#wire) this.#wire.write(chunk, done)
    else done(new Error('the connection is not open'))
  }

  override _final(done: () => void): void {
    if (this.#wire) this.#wire.end(done)
    else done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wire?.destroy()
    this.#body = null
    done(error)
  }

  #readHeader(chunk: Buffer, start: number): number {
    let at = start
    while (at < chunk.length) {
      const byte = chunk[at++]
      this.#header[this.#headerLength++] = byte
      if (this.#headerLength === 1) continue
      if (byte < 128) {
        this.#begin(chunk, at)
        return at
      }
      if (this.#headerLength === longestHeader) {
        this.destroy(new PacketTooLarge('the broker sent a packet whose length is malformed'))
        return chunk.length
      }
    }
    return at
  }

  /** A fixed header is complete: decides whether the packet may be a block. */
  #begin(chunk: Buffer, at: number): void {
    let length = 0
    for (let i = this.#headerLength - 1; i > 0; i--) length = length * 128 + (this.#header[i] & 127)
    if (length > maxPacketBytes) {
      this.destroy(
        new PacketTooLarge(`the broker sent a packet of ${length} bytes; ${maxPacketBytes} are taken`),
      )
      return
    }
    const isPlainPublish = this.#header[0] >> 4 === PUBLISH && (this.#header[0] & 0b0110) === 0
    if (isPlainPublish && length > 2 && length <= laneBytes) {
      this.#bodyWanted = length
      this.#bodyLength = 0
      if (chunk.length - at < length) this.#body ??= Buffer.allocUnsafeSlow(laneBytes)
      return
    }
    this.#give(Buffer.from(this.#header.subarray(0, this.#headerLength)))
    this.#headerLength = 0
    this.#passing = length
  }

  #gather(chunk: Buffer, at: number): number {
    const take = Math.min(this.#bodyWanted - this.#bodyLength, chunk.length - at)
    const isWholeHere = take === this.#bodyWanted
    let body = chunk.subarray(at, at + take)
    if (!isWholeHere) {
      this.#body ??= Buffer.allocUnsafeSlow(laneBytes)
      this.#body.set(body, this.#bodyLength)
      this.#bodyLength += take
      if (this.#bodyLength < this.#bodyWanted) return at + take
      body = this.#body.subarray(0, this.#bodyWanted)
    }
    this.#bodyWanted = 0
    this.#deliver(body)
    this.#headerLength = 0
    return at + take
  }

  #deliver(body: Buffer): void {
    const topicEnd = 2 + body.readUInt16BE(0)
    if (topicEnd <= body.length) {
      const topic = body.toString('utf8', 2, topicEnd)
      if (this.#lane.takes(topic)) {
        this.#lane.block(topic, body.subarray(topicEnd))
        return
      }
    }
    this.#give(Buffer.concat([this.#header.subarray(0, this.#headerLength), body]))
  }

  #pass(chunk: Buffer, at: number): number {
    const take = Math.min(this.#passing, chunk.length - at)
    this.#give(Buffer.from(chunk.subarray(at, at + take)))
    this.#passing -= take
    return at + take
  }

  /** Passes bytes on; a reader that is behind stops the socket until it asks for more. */
  #give(bytes: Buffer): void {
    if (!this.push(bytes)) this.#wire?.pause()
  }
}
