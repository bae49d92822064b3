import type { Socket } from 'node:net'

/** Connections that have not said who they are yet. */
const mostWaiting = 500

/**
 * Holds the connections that have not been let in. Of those there are so many at most: one more ends the one that has waited
 * longest, since who means well says who it is within a round trip.
 */
export class Door {
  readonly #waiting = new Map<string, Socket>()

  constructor(
    private readonly onCrowded: () => void,
    private readonly most = mostWaiting,
  ) {}

  /** A connection was opened: the bare one, also where TLS goes over it. */
  arrived(socket: Socket): void {
    const place = placeOf(socket)
    this.#waiting.set(place, socket)
    socket.once('close', () => {
      if (this.#waiting.get(place) === socket) this.#waiting.delete(place)
    })
    if (this.#waiting.size <= this.most) return
    const [[longest, { destroyed }]] = this.#waiting
    this.#waiting.get(longest)?.destroy()
    this.#waiting.delete(longest)
    if (!destroyed) this.onCrowded()
  }

  /** Who is behind this connection is known and welcome. */
  admitted(connection: Socket): void {
    this.#waiting.delete(placeOf(connection))
  }
}

/** Where a connection comes from; the same for a TLS connection and the bare one under it. */
const placeOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`
