import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { topic } from '@espalier/shared/topics.js'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { connectPacket, type Login, opened } from './packets.js'

/** What a client may do to a broker in bad faith; each resolves when it has done so for long enough, with what it saw. */
export type Attack = (port: number, login: Login, forMs: number) => Promise<Record<string, number>>

async function connected(port: number, login: Login): Promise<Socket> {
  const socket = await opened(port)
  socket.write(connectPacket(login))
  await once(socket, 'data')
  return socket
}

/** Writes the same bytes as fast as the socket takes them. */
async function pour(socket: Socket, bytes: Buffer, forMs: number): Promise<number> {
  const piece = Buffer.concat(Array.from({ length: Math.ceil(65_536 / bytes.length) }, () => bytes))
  let packets = 0
  for (const end = performance.now() + forMs; performance.now() < end && !socket.destroyed; ) {
    packets += piece.length / bytes.length
    if (!socket.write(piece)) await drained(socket)
  }
  return Math.round(packets - socket.writableLength / bytes.length)
}

/** Resolves when the socket takes more, has closed, or a fifth of a second has passed. */
const drained = (socket: Socket) =>
  new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      socket.off('drain', done).off('close', done)
      resolve()
    }
    const timer = setTimeout(done, 200)
    socket.once('drain', done).once('close', done)
  })

const packet = (content: Packet) => mqttPacket.generate(content)

/** A client that sends one packet over and over and, unless it `reads`, never takes an answer in. */
const flood =
  (bytes: (login: Login) => Buffer, reads = true): Attack =>
  async (port, login, forMs) => {
    const socket = await connected(port, login)
    if (reads) socket.resume()
    else socket.pause()
    const packets = await pour(socket, bytes(login), forMs)
    const thrownOut = socket.destroyed ? 1 : 0
    socket.destroy()
    return { packets, thrownOut }
  }

/** So many of a thousand are waited for to be ended. */
const mostLeft = 500

/** A thousand connections at once, each of which says `hello` and then nothing. */
const crowd =
  (hello: (login: Login, n: number) => Buffer | null): Attack =>
  async (port, login, forMs) => {
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, async (_, n) => {
        const socket = await opened(port)
        const bytes = hello(login, n)
        if (bytes) socket.write(bytes)
        return socket.resume()
      }),
    )
    const left = () => sockets.filter(({ destroyed }) => !destroyed).length
    const end = performance.now() + forMs
    do await wait(300)
    while (left() > mostLeft && performance.now() < end)
    const stayed = left()
    for (const socket of sockets) socket.destroy()
    return { connections: sockets.length, left: stayed }
  }

const told = (login: Login, name: 'presence' | 'reported', payload: string, qos: 0 | 1) =>
  packet({
    cmd: 'publish',
    topic: topic(name, { device: login.id }),
    payload: Buffer.from(payload),
    ...{ qos, messageId: 7, dup: false, retain: false },
  })

export const attacks = {
  'births at full speed, each written to disk': flood((login) =>
    told(login, 'presence', '{"online":true,"epoch":1,"agentVersion":"0"}', 0),
  ),
  'acknowledged messages at full speed': flood((login) => told(login, 'reported', '{}', 1)),
  'pings at full speed': flood(() => packet({ cmd: 'pingreq' })),
  'pings, never reading the answers': flood(() => packet({ cmd: 'pingreq' }), false),
  'subscribing to all catalogues again and again, never reading': flood(
    () =>
      packet({
        cmd: 'subscribe',
        messageId: 7,
        subscriptions: [{ topic: 'espalier/v1/models/+/versions/+/catalogue', qos: 1 }],
      }),
    false,
  ),
  'a thousand connections that say nothing': crowd(() => null),
  'a thousand with a wrong password': crowd(({ id }, n) => connectPacket({ id, password: `guess ${n}` })),
  'a thousand with long names and no password': crowd((_, n) =>
    connectPacket({ id: `${n}${'x'.repeat(12_000)}`, password: 'guess' }),
  ),
  'a thousand with one stolen credential': crowd((login) => connectPacket(login)),
  'a thousand that begin a packet and never end it': crowd(() => Buffer.from([0x10, 0xff, 0x3f, 0])),
} satisfies Record<string, Attack>
