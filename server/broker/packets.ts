import type { Socket } from 'node:net'
import { Pace, type Rate } from './pace.js'

/**
 * A PUBLISH packet up to its payload (MQTT 3.1.1, §3.3): QoS 0, or QoS 1 where an identifier is given.
 */
export function publishHeader(topic: string, payloadBytes: number, messageId?: number): Buffer {
  const name = Buffer.from(topic)
  const qos1 = messageId !== undefined
  const remaining = 2 + name.length + (qos1 ? 2 : 0) + payloadBytes
  const length = remainingLength(remaining)
  const header = Buffer.alloc(1 + length.length + remaining - payloadBytes)
  header[0] = qos1 ? 0x32 : 0x30
  header.set(length, 1)
  const at = 1 + length.length
  header.writeUInt16BE(name.length, at)
  header.set(name, at + 2)
  if (qos1) header.writeUInt16BE(messageId, at + 2 + name.length)
  return header
}

/** §2.2.3: seven bits a byte, lowest first. */
function remainingLength(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return bytes
}

export interface PacketLimits {
  /** Of the first packet, CONNECT. */
  readonly maxFirstBytes: number
  readonly maxBytes: number
  readonly rate: Rate
}

/** What is taken from a socket in one turn of the event loop, so that a flood of small packets holds up nobody else. */
const turnBytes = 4 * 1024

/**
 * Ends a connection whose next packet announces too many bytes, before they are gathered: the parser behind would hold up to
 * 256 MB for it. Who sends more than its rate is read later, which in the end fills its own socket and no memory here.
 */
export function limitPackets(
  socket: Socket,
  { maxFirstBytes, maxBytes, rate }: PacketLimits,
  exceeded: (bytes: number) => void,
): void {
  const measure = packetMeasure()
  const pace = new Pace(rate)
  const read = socket.read.bind(socket)
  let limit = maxFirstBytes
  let held = false
  let missed = false
  const release = () => {
    held = false
    if ((missed || socket.readableLength > 0) && !socket.destroyed) socket.emit('readable')
  }
  socket.read = (size?: number) => {
    if (size === 0) return read(0) // the stream's own, which only has more fetched
    // The broker reads on while it still parses what it has, which its parser does not bear: once a turn, then.
    missed = held
    if (held) return null
    const chunk = read(Math.min(socket.readableLength, turnBytes) || undefined)
    if (!Buffer.isBuffer(chunk)) return chunk
    let packets = 0
    for (const length of measure(chunk)) {
      if (length > limit) {
        exceeded(length)
        socket.destroy()
        return null
      }
      limit = maxBytes
      packets++
    }
    const pauseMs = pace.spend(packets, chunk.length)
    held = true
    if (pauseMs > 0) setTimeout(release, pauseMs).unref()
    else setImmediate(release)
    return chunk
  }
}

/** Follows a stream of packets chunk by chunk and tells the length of each whose fixed header ends in the chunk. */
function packetMeasure(): (chunk: Buffer) => Iterable<number> {
  let skip = 0
  let length = 0
  let factor = 0 // 0: the packet's type byte comes next
  return function* (chunk) {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
      } else if (factor === 0) {
        factor = 1
        length = 0
        at++
      } else {
        const byte = chunk[at++]
        length += (byte & 127) * factor
        factor *= 128
        if (byte < 128 || factor > 128 ** 4) {
          yield length
          skip = length
          factor = 0
        }
      }
    }
  }
}
