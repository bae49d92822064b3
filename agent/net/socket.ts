import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { EspalierError } from '@espalier/shared'
import { type BlockLane, LaneStream } from './block-lane.js'

export interface Address {
  readonly host: string
  readonly port: number
  readonly secure: boolean
  /** PEM of an authority to trust in place of those that everybody knows. */
  readonly ca?: string
}

/** @throws CREDENTIAL_INVALID for anything but `mqtt://host[:port]` or `mqtts://host[:port]`. */
export function parseBroker(url: string): Address {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const secure = parsed?.protocol === 'mqtts:'
  if (!parsed?.hostname || !(secure || parsed.protocol === 'mqtt:')) {
    throw new EspalierError(
      'CREDENTIAL_INVALID',
      `broker '${url}' is not an address such as mqtt://host:1883`,
    )
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(parsed.port || (secure ? 8883 : 1883)), secure }
}

const readBytes = 64 * 1024
/** One for the life of the process: a reconnecting agent reads into the same memory. */
let sharedBuffer: Buffer | null = null

/**
 * Opens a connection whose blocks go to `lane`. It reads into one buffer over and over, for which MQTT.js's own
 * connection has no option.
 */
export function openSocket({ host, port, secure, ca }: Address, lane: BlockLane): LaneStream {
  const stream = new LaneStream(lane)
  if (secure) {
    const socket = connectTls({ host, port, ca, ...(isIP(host) === 0 && { servername: host }) })
    socket.on('data', (chunk: Buffer) => stream.arrived(chunk))
    wire(stream, socket)
  } else {
    sharedBuffer ??= Buffer.allocUnsafeSlow(readBytes)
    const buffer = sharedBuffer
    const callback = (read: number) => {
      stream.arrived(buffer.subarray(0, read))
      return true
    }
    wire(stream, connect({ host, port, noDelay: true, onread: { buffer, callback } }))
  }
  return stream
}

function wire(stream: LaneStream, socket: ReturnType<typeof connect>): void {
  stream.attach({
    write: (chunk, done) => socket.write(chunk, done),
    end: (done) => socket.end(done),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  })
  socket.on('error', (error) => stream.destroy(error))
  socket.on('end', () => stream.ended())
  socket.on('close', () => stream.destroy())
  // A paused or half-open socket still has to notice the end; there is no 'data' listener to make it flow.
  socket.resume()
}
