import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface PathOptions {
  /** What every byte takes to the other end, each way, ms. */
  readonly delayMs?: number
  /** What passes, each way and in each connection. */
  readonly bytesPerSecond?: number
  /** The most bytes that a connection holds each way before its sender has to wait; without a rate, no bound. */
  readonly holdBytes?: number
}

/** A way to a port of this machine that is longer and narrower than loopback; it can be made to pass nothing back at all. */
export class Path {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isFrozen = false

  private constructor(port: number, options: PathOptions) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', noDelay: true })
      this.#carry(near, far, options)
      this.#carry(far, near, options)
    })
  }

  static async to(url: string, options: PathOptions): Promise<Path> {
    const path = new Path(Number(new URL(url).port), options)
    path.#server.listen(0, '127.0.0.1')
    await once(path.#server, 'listening')
    return path
  }

  /** `url` by this way. */
  url(url: string): string {
    const by = new URL(url)
    by.port = String((this.#server.address() as AddressInfo).port)
    return by.href.replace(/\/$/, '')
  }

  /** From now on nothing is read on either side; all connections stay open. */
  freeze(): void {
    this.#isFrozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  thaw(): void {
    this.#isFrozen = false
    for (const socket of this.#sockets) socket.resume()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #carry(from: Socket, to: Socket, options: PathOptions): void {
    const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = options
    const { holdBytes = bytesPerSecond === Number.POSITIVE_INFINITY ? bytesPerSecond : 65_536 } = options
    const queue: { due: number; chunk: Buffer | null }[] = []
    let [held, freeAt] = [0, 0]
    let timer: NodeJS.Timeout | undefined
    const pass = () => {
      timer = undefined
      const now = performance.now()
      while (queue.length > 0 && queue[0].due <= now) {
        const { chunk } = queue.shift()!
        if (chunk) to.write(chunk)
        else to.end()
        held -= chunk?.length ?? 0
      }
      if (held <= holdBytes / 2 && !this.#isFrozen) from.resume()
      if (queue.length > 0) timer = setTimeout(pass, Math.max(1, queue[0].due - now))
    }
    const take = (chunk: Buffer | null) => {
      const bytes = chunk?.length ?? 0
      freeAt = Math.max(freeAt, performance.now()) + (bytes / bytesPerSecond) * 1000
      queue.push({ due: freeAt + delayMs, chunk })
      held += bytes
      if (held > holdBytes) from.pause()
      if (!timer) timer = setTimeout(pass, Math.max(1, queue[0].due - performance.now()))
    }
    this.#sockets.add(from)
    from.on('data', take)
    from.on('end', () => take(null))
    from.on('error', () => from.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      if (from.errored) to.destroy()
    })
  }
}
