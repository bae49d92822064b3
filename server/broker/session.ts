import type { Client } from 'aedes'
import { publishHeader } from './packets.js'

/** The most bytes that wait for one device's socket before its blocks pause. Blocks' buffers are shared by all devices. */
const maxWaitingBytes = 256 * 1024
const maxOwed = 64
const maxFilters = 64
const probeId = 0xffff

/**
 * One device's connection to the embedded broker. Frames are written straight to its socket, between
 * aedes' own packets: that is quicker than `publish`, and one slow device holds up nobody else. A device that
 * does not read at all ends by its keepalive.
 */
export class Session {
  readonly #filters = new Set<string>()
  readonly #owed = new Map<string, Buffer>()
  #drain: Promise<boolean> | undefined
  #probe: Promise<boolean> | undefined
  #answered: (() => void) | undefined
  #turn: Promise<void> = Promise.resolve()

  constructor(readonly client: Client) {}

  /** Resolves for one message of the device in each turn of the event loop, in their order: others get theirs in between. */
  turn(): Promise<void> {
    this.#turn = this.#turn.then(() => new Promise((resolve) => setImmediate(resolve)))
    return this.#turn
  }

  /** Notes a subscription; false when there are too many. */
  subscribe(filter: string): boolean {
    if (this.#filters.size >= maxFilters && !this.#filters.has(filter)) return false
    this.#filters.add(filter)
    return true
  }

  unsubscribe(filter: string): void {
    this.#filters.delete(filter)
  }

  /** Writes one message at QoS 0; false if the device did not subscribe to it, or has gone. */
  write(topic: string, ...parts: Uint8Array[]): boolean {
    if (!this.#open || !this.#subscribed(topic)) return false
    this.#put(publishHeader(topic, totalBytes(parts)), parts)
    return true
  }

  /** As `write`, but resolves when more may follow; false if the device has gone meanwhile. */
  async writePaced(
    topic: string,
    parts: readonly Uint8Array[],
    mostWaiting = maxWaitingBytes,
  ): Promise<boolean> {
    if (!this.write(topic, ...parts)) return false
    const { writableLength, writableNeedDrain } = this.client.conn
    return !writableNeedDrain || writableLength < mostWaiting || this.#drained()
  }

  get hasRoom(): boolean {
    return this.#open && this.client.conn.writableLength < maxWaitingBytes
  }

  /** Writes a packet that is the same for many, if the device subscribed by this filter. */
  writePacket(filter: string, head: Buffer, payload: Uint8Array): void {
    if (this.#open && this.#filters.has(filter)) this.#put(head, [payload])
  }

  /** Keeps a message, the latest of each topic, until the socket has drained. */
  owe(topic: string, payload: Buffer): void {
    this.#owed.set(topic, payload)
    if (this.#owed.size > maxOwed) this.client.conn.destroy()
    else if (this.#owed.size === 1) void this.#settle()
  }

  async #settle(): Promise<void> {
    if (!(await this.#drained())) return
    for (const [topic, payload] of this.#owed) this.#put(publishHeader(topic, payload.length), [payload])
    this.#owed.clear()
  }

  /** Whether the device acknowledges this message, at QoS 1, in time. Who asks meanwhile shares the answer. */
  answers(topic: string, payload: Buffer, timeoutMs: number): Promise<boolean> {
    this.#probe ??= new Promise<boolean>((resolve) => {
      const { conn } = this.client
      const done = (answered: boolean) => {
        clearTimeout(timer)
        conn.off('close', silent)
        this.#probe = undefined
        this.#answered = undefined
        resolve(answered)
      }
      const silent = () => done(false)
      const timer = setTimeout(silent, timeoutMs)
      conn.once('close', silent)
      this.#answered = () => done(true)
      this.#put(publishHeader(topic, payload.length, probeId), [payload])
    })
    return this.#probe
  }

  /** To be called when the device acknowledged something. */
  acknowledged(): void {
    this.#answered?.()
  }

  #subscribed(topic: string): boolean {
    return this.#filters.has(topic) || [...this.#filters].some((filter) => matches(filter, topic))
  }

  get #open(): boolean {
    return this.client.connected && !this.client.conn.destroyed
  }

  #put(header: Buffer, parts: readonly Uint8Array[]): void {
    const { conn } = this.client
    conn.cork()
    conn.write(header)
    for (const part of parts) conn.write(part)
    conn.uncork()
  }

  #drained(): Promise<boolean> {
    this.#drain ??= new Promise<boolean>((resolve) => {
      const { conn } = this.client
      const done = () => {
        conn.off('drain', done)
        conn.off('close', done)
        this.#drain = undefined
        resolve(this.#open)
      }
      conn.once('drain', done)
      conn.once('close', done)
    })
    return this.#drain
  }
}

const totalBytes = (parts: readonly Uint8Array[]) => parts.reduce((bytes, part) => bytes + part.length, 0)

/** Whether a filter without `#` matches a topic (MQTT 3.1.1, §4.7.1.3). */
function matches(filter: string, topic: string): boolean {
  const [wanted, levels] = [filter.split('/'), topic.split('/')]
  return wanted.length === levels.length && wanted.every((part, i) => part === '+' || part === levels[i])
}
