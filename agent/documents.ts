import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { type Catalogue, catalogue, type Desired, desired } from '@espalier/shared/messages/index.js'
import { unseal } from '@espalier/shared/signing.js'
import { diskError } from './store/errors.js'
import { errnoOf, writeAtomic } from './store/files.js'
import type { Ledger } from './store/ledger.js'

export interface DocumentsOptions {
  readonly device: string
  /** The keys whose documents hold now. */
  readonly keys: () => readonly KeyObject[]
  readonly folder: string
  readonly ledger: Ledger
  readonly now: () => number
}

/**
 * The two signed documents that the device acts on: what is desired of it, and the catalogue of that model
 * version. Only what holds against the service's key, this device and the highest number accepted before gets in;
 * what is refused changes nothing. Both stay on disk, so that the device knows its mind without a network.
 */
export class Documents {
  readonly #options: DocumentsOptions
  #desired: Desired | null = null
  #catalogue: Catalogue | null = null

  constructor(options: DocumentsOptions) {
    this.#options = options
    this.#restore(() => this.#takeDesired(this.#read('desired'), () => {}))
    this.#restore(() => this.#takeCatalogue(this.#read('catalogue'), () => {}))
  }

  get desired(): Desired | null {
    return this.#desired
  }

  /** The catalogue of the desired model version; null until one has come whose sequence is recent enough. */
  get catalogue(): Catalogue | null {
    const [wanted, found] = [this.#desired, this.#catalogue]
    if (!wanted || !found || found.model !== wanted.model || found.version !== wanted.version) return null
    return found.sequence >= wanted.catalogueSequence ? found : null
  }

  /** Takes a `desired` in. Whether it says anything new. @throws why it is refused. */
  takeDesired(bytes: Uint8Array): boolean {
    return this.#takeDesired(bytes, (n) => this.#keep('desired', bytes, 'desired', n))
  }

  /** Takes a catalogue in. Whether it says anything new. @throws why it is refused. */
  takeCatalogue(bytes: Uint8Array): boolean {
    return this.#takeCatalogue(bytes, (n, counter) => this.#keep('catalogue', bytes, counter, n))
  }

  #takeDesired(bytes: Uint8Array, keep: (revision: number) => void): boolean {
    const { device, keys, ledger, now } = this.#options
    const content = unseal(desired, bytes, {
      keys: keys(),
      now: now(),
      bound: { type: 'desired', device },
      atLeast: ledger.highest('desired'),
    })
    if (content.revision === this.#desired?.revision) return false
    keep(content.revision)
    this.#desired = content
    return true
  }

  #takeCatalogue(bytes: Uint8Array, keep: (sequence: number, counter: string) => void): boolean {
    const { keys, ledger, now } = this.#options
    const wanted = this.#desired
    if (!wanted)
      throw new EspalierError('DOCUMENT_MISBOUND', 'catalogue: no model is assigned to this device')
    const counter = `catalogue/${wanted.model}/${wanted.version}`
    const content = unseal(catalogue, bytes, {
      keys: keys(),
      now: now(),
      bound: { type: 'catalogue', model: wanted.model, version: wanted.version },
      atLeast: ledger.highest(counter),
    })
    const known = this.#catalogue
    if (known && known.model === content.model && known.version === content.version) {
      if (known.sequence === content.sequence) return false
    }
    keep(content.sequence, counter)
    this.#catalogue = content
    return true
  }

  #keep(name: string, bytes: Uint8Array, counter: string, n: number): void {
    try {
      this.#options.ledger.accept(counter, n)
      writeAtomic(this.#path(name), bytes)
    } catch (e) {
      throw diskError(e, this.#options.folder)
    }
  }

  /** A kept document that has expired or does not verify any more is left out; its successor is on the broker. */
  #restore(take: () => boolean): void {
    try {
      take()
    } catch (e) {
      if (!(e instanceof EspalierError) && errnoOf(e) !== 'ENOENT') throw e
    }
  }

  #read(name: string): Uint8Array {
    return readFileSync(this.#path(name))
  }

  #path(name: string): string {
    return join(this.#options.folder, `${name}.json`)
  }
}
