import type { ServicePresence } from '@espalier/shared/messages/index.js'

/** The service as this device knows it: what it last said of itself, and whether it can be spoken to. */
export class Centre {
  #said: ServicePresence = { epoch: 0, online: false }

  get online(): boolean {
    return this.#said.online
  }

  /** How it sends blocks. */
  get blocks(): NonNullable<ServicePresence['blocks']> {
    return this.#said.blocks ?? { paced: false, broadcasts: false }
  }

  /**
   * A presence of a lower epoch is a will that was overtaken by the next birth, and passed over.
   * @returns whether this one counted and the service is there
   */
  says(presence: ServicePresence): boolean {
    if (presence.epoch < this.#said.epoch) return false
    this.#said = presence
    return presence.online
  }

  /** Without a connection nobody knows; what it said of blocks holds until it speaks again. */
  lost(): void {
    this.#said = { ...this.#said, online: false }
  }
}
