import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { xorshift } from '@espalier/server/compiler/analysis/index.js'
import { topic } from '@espalier/shared/topics.js'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { below, damages, pick, type Random } from './bytes.js'

/** Who speaks, and whom it would like to be or to hear. */
export interface Login {
  readonly id: string
  readonly password: string
  readonly victim: string
}

const encoded = (...packets: Packet[]): Buffer =>
  Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)))

/** The CONNECT of a device. */
export const connectPacket = ({ id, password }: Omit<Login, 'victim'>, will?: string): Buffer =>
  encoded({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: id,
    username: id,
    password: Buffer.from(password),
    keepalive: 60,
    ...(will && { will: { topic: will, payload: Buffer.from('x'), qos: 1, retain: true } }),
  })

/** A packet of each kind that a client can send, as a device would or should not. */
function sound(random: Random, { id, password, victim }: Login): Buffer {
  const whose = pick(random, [id, id, victim])
  const to = topic(pick(random, ['presence', 'facts', 'reported', 'desired', 'blocksRequest'] as const), {
    device: whose,
  })
  const messageId = 1 + below(random, 3)
  const payload = Buffer.from(pick(random, ['{"online":true,"epoch":1}', '{}', '', 'x'.repeat(300)]))
  const qos = pick(random, [0, 1, 2] as const)
  const filters = ['#', '+/#', topic('desired', { device: whose }), '$SYS/#', '$share/g/#', `${to}/+`]
  return pick(random, [
    () => encoded({ cmd: 'publish', topic: to, payload, qos, messageId, dup: false, retain: random() < 0.5 }),
    () => encoded({ cmd: 'subscribe', messageId, subscriptions: [{ topic: pick(random, filters), qos }] }),
    () => encoded({ cmd: 'unsubscribe', messageId, unsubscriptions: [pick(random, filters)] }),
    () =>
      encoded({ cmd: pick(random, ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const), messageId } as Packet),
    () => encoded({ cmd: pick(random, ['pingreq', 'disconnect'] as const) }),
    () => connectPacket({ id: whose, password }, random() < 0.5 ? to : undefined),
  ])()
}

/** What the seed has a client send: one to four packets, damaged; before CONNECT or, for three seeds of four, behind a sound one. */
export function packetMutant(seed: number, login: Login): { kind: string; bytes: Buffer } {
  const random = xorshift(seed)
  for (let k = 0; k < 5; k++) random()
  const packets = Array.from({ length: 1 + below(random, 4) }, () => sound(random, login))
  const kind = pick(random, Object.keys(damages))
  const hurt = Buffer.from(damages[kind](Buffer.concat(packets), random))
  return { kind, bytes: seed % 4 === 0 ? hurt : Buffer.concat([connectPacket(login), hurt]) }
}

/** Opens a connection that minds nothing which becomes of it. */
export async function opened(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  return socket
}

/**
 * Sends the mutants of these seeds, each over a connection of its own, as many at a time as there are logins.
 * @returns how many of each kind were sent.
 */
export async function hurl(
  port: number,
  logins: readonly Login[],
  seeds: Iterable<number>,
): Promise<Record<string, number>> {
  const sent: Record<string, number> = {}
  const queue = seeds[Symbol.iterator]()
  const speak = async (login: Login) => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const { kind, bytes } = packetMutant(next.value, login)
      const socket = await opened(port)
      const closed = once(socket.resume(), 'close')
      socket.end(bytes)
      await closed
      sent[kind] = (sent[kind] ?? 0) + 1
    }
  }
  await Promise.all(logins.map(speak))
  return sent
}
