import type { TopicName } from '@espalier/shared/topics.js'

/** What a device published. `device` is who the broker knows sent it: its id, or the claim of one that enrols. */
export interface Incoming {
  readonly device: string
  readonly payload: Buffer
}

/**
 * Receives one topic. The message counts as taken when the promise settles. An EspalierError about its content
 * is logged and the message dropped; DISK_FULL, INTERNAL and anything else leave it to be sent again.
 */
export type Handler = (incoming: Incoming) => void | Promise<void>

/** Which block of which artifact. */
export interface BlockAddress {
  readonly digest: string
  readonly index: number
}

/** What the other rooms need of MQTT, whichever engine serves it. */
export interface Broker {
  /** Where devices connect, such as `mqtt://127.0.0.1:1883`. */
  readonly url: string
  /** Whether devices that have no credential yet can be let in by a token. */
  readonly enrols: boolean
  /** Hands what devices publish under `name` to `handler`. One handler a name, before `start`. */
  handle(name: TopicName, handler: Handler): void
  start(): Promise<void>
  /** Publishes a retained message; an empty payload removes the one before. */
  retain(topic: string, payload: Buffer): Promise<void>
  /** Publishes to one device, if it is there; what must arrive is repeated by who sends it. */
  send(device: string, topic: string, payload: Buffer): void
  /**
   * Sends one block frame to a device. Resolves to true when the next may follow, which for a device that reads
   * slowly takes a while, and to false if the device is gone or did not subscribe. An engine that holds the device's
   * connection lets no more than `mostWaiting` bytes, and this block, wait for it.
   */
  sendBlock(device: string, header: Buffer, payload: Uint8Array, mostWaiting?: number): Promise<boolean>
  /** Whether a block could go to the device now without waiting; an engine that cannot tell says that it could. */
  hasRoom(device: string): boolean
  /** Sends a block once to all that listen on its topic, `devices` among them. Resolves when the next may follow. */
  broadcast(devices: readonly string[], at: BlockAddress, header: Buffer, payload: Uint8Array): Promise<void>
  /** Ends the device's connection, if this engine holds it. */
  disconnect(device: string): void
  close(): Promise<void>
}

/** The part of a logger that the service's rooms use; pino's fits. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
