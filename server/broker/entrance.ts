import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import type { Logger } from './broker.js'
import { Door } from './door.js'
import type { Refusals } from './intake.js'
import { listen, reachableHost, refuseOpenAddress } from './listen.js'

/** TLS: PEM of key and certificate, on all addresses; `name` is what devices call this machine. */
export interface Secure {
  readonly key: string
  readonly cert: string
  readonly port: number
  readonly name: string
}

export interface EntranceOptions {
  /** Anything but a loopback address needs `insecureLan`. */
  readonly host: string
  /** 0 for any free port */
  readonly port: number
  /** Listens for other machines too, with TLS, and sends devices there. */
  readonly secure?: Secure
  readonly insecureLan?: boolean
  readonly log: Logger
}

const socketOptions = { noDelay: true, keepAlive: true }

/** Where connections come in: bare ones, and those through TLS. Of those that say nothing it lets only so many wait. */
export class Entrance {
  readonly #options: EntranceOptions
  readonly #server: Server
  readonly #secureServer: Server | undefined
  readonly #door: Door
  readonly #sockets = new Set<Socket>()

  /** @param helloMs how long TLS may take @throws BROKER_INSECURE */
  constructor(
    options: EntranceOptions,
    helloMs: number,
    refusals: Refusals,
    onConnection: (socket: Socket) => void,
  ) {
    refuseOpenAddress(options.host, options.insecureLan ?? false, options.log)
    this.#options = options
    this.#door = new Door(() =>
      refusals.note(
        'unknown',
        'BROKER_CROWDED',
        'too many connections at once do not say who they are; the one that has waited longest was ended',
      ),
    )
    const connect = (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      onConnection(socket)
    }
    this.#server = createServer(socketOptions, connect)
    if (options.secure) {
      const { key, cert } = options.secure
      const tls = { key, cert, minVersion: 'TLSv1.2', handshakeTimeout: helloMs } as const
      this.#secureServer = createSecureServer({ ...socketOptions, ...tls }, connect)
      // A handshake that fails is its client's trouble; aedes never sees that connection.
      this.#secureServer.on('tlsClientError', (error: Error) =>
        refusals.note('unknown', 'BROKER_UNREACHABLE', `a TLS connection failed: ${error.message}`),
      )
    }
    for (const server of this.#servers) server.on('connection', (socket) => this.#door.arrived(socket))
  }

  get #servers(): Server[] {
    return [this.#server, ...(this.#secureServer ? [this.#secureServer] : [])]
  }

  /** Where devices connect: through TLS, if there is any. */
  get url(): string {
    const { secure, host } = this.#options
    if (secure && this.#secureServer) return `mqtts://${bracketed(secure.name)}:${portOf(this.#secureServer)}`
    return `mqtt://${bracketed(reachableHost(host))}:${portOf(this.#server)}`
  }

  /** @throws PORT_TAKEN */
  async open(): Promise<void> {
    await listen(this.#server, this.#options)
    if (this.#secureServer) await listen(this.#secureServer, { port: this.#options.secure?.port ?? 0 })
  }

  /** Who is behind this connection is known and welcome. */
  admitted(connection: Socket): void {
    this.#door.admitted(connection)
  }

  /** Takes no more connections, does `farewell`, and ends those that are left. */
  async close(farewell: () => Promise<void>): Promise<void> {
    const closed = Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
    await farewell()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)
const portOf = (server: Server) => (server.address() as AddressInfo).port
