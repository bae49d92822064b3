import type { KeyObject } from 'node:crypto'
import { type Command, command, newCredential } from '@espalier/shared/messages/index.js'
import { unseal } from '@espalier/shared/signing.js'
import type { Clock } from './clock.js'
import { type Credential, keepRenewed } from './credential.js'
import type { Ledger } from './store/ledger.js'

export interface OrdersOptions {
  readonly credential: Credential
  /** The keys whose documents hold now. */
  readonly keys: () => readonly KeyObject[]
  readonly ledger: Ledger
  readonly clock: Clock
  readonly stateDir: string
}

/** The signed orders to this one device that are done once each, by a rising number: commands, and new passwords. */
export class Orders {
  readonly #options: OrdersOptions

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  /** The command, and whether it is new: one that was repeated is acknowledged but not done again. @throws what `unseal` throws */
  command(payload: Uint8Array): { readonly order: Command; readonly isNew: boolean } {
    const { ledger } = this.#options
    const order = unseal(command, payload, this.#expected('command'))
    const isNew = order.n > ledger.highest('command')
    ledger.accept('command', order.n)
    return { order, isNew }
  }

  /**
   * The credential with a new password, or null where it is known already. It is on disk before it is used; the service
   * forgets the old one once this device came with the new. @throws what `unseal` throws, or a system error
   */
  renewal(payload: Uint8Array): Credential | null {
    const { credential, ledger, stateDir } = this.#options
    const { password, n, issuedAt } = unseal(newCredential, payload, this.#expected('credential'))
    if (n === ledger.highest('credential')) return null
    const renewed = { ...credential, password, issuedAt }
    keepRenewed(stateDir, renewed)
    ledger.accept('credential', n)
    return renewed
  }

  #expected<T extends 'command' | 'credential'>(type: T) {
    const { credential, keys, ledger, clock } = this.#options
    return {
      keys: keys(),
      now: clock.now(),
      bound: { type, device: credential.id },
      atLeast: ledger.highest(type),
    }
  }
}
