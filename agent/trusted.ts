import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { documentKeys, follow, pinned, type Trust } from '@espalier/shared/trust.js'
import { diskError } from './store/errors.js'
import { errnoOf, writeAtomic } from './store/files.js'
import type { Ledger } from './store/ledger.js'

export interface TrustedOptions {
  /** The key of the device's credential. */
  readonly pinned: KeyObject
  readonly folder: string
  readonly ledger: Ledger
}

/**
 * The keys that this device believes. What `keys` said last stays on disk and is followed anew from the credential's key at each
 * start; if it is lost there, nothing is believed until it comes again, since the credential's key may be one of those given up.
 */
export class Trusted {
  readonly #options: TrustedOptions
  #trust: Trust

  constructor(options: TrustedOptions) {
    this.#options = options
    this.#trust = pinned(options.pinned)
    try {
      this.#trust = follow(this.#trust, readFileSync(this.#path))
    } catch (e) {
      if (!(e instanceof EspalierError) && errnoOf(e) !== 'ENOENT') throw e
    }
  }

  /** The keys whose documents hold now. */
  keys(now: number): readonly KeyObject[] {
    return this.#trust.version < this.#options.ledger.highest('root') ? [] : documentKeys(this.#trust, now)
  }

  /** Takes a message `keys` in. Whether it says anything new. @throws why it is refused. */
  take(bytes: Uint8Array): boolean {
    const { ledger, folder } = this.#options
    const trust = follow(this.#trust, bytes)
    if (trust.version === this.#trust.version) return false
    if (trust.version < ledger.highest('root'))
      throw new EspalierError(
        'DOCUMENT_REPLAYED',
        `keys: root ${trust.version} is lower than ${ledger.highest('root')}, which was accepted before`,
      )
    try {
      writeAtomic(this.#path, bytes)
      ledger.accept('root', trust.version)
    } catch (e) {
      throw diskError(e, folder)
    }
    this.#trust = trust
    return true
  }

  get #path(): string {
    return join(this.#options.folder, 'roots.json')
  }
}
