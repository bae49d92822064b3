import { createPublicKey, type KeyObject } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import { type CatalogueVariant, catalogue } from '@espalier/shared/messages/index.js'
import { isSignedBy, seal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker } from '../broker/index.js'
import type { Database } from '../store/index.js'
import { type Artifacts, type BlockList, listBlocks } from './artifact-blocks.js'

/** A variant as it is offered, but for how it is cut into blocks. */
export type Offer = Omit<CatalogueVariant, 'bytes' | 'blockBytes' | 'blocks'>

export interface CataloguesOptions {
  readonly db: Database
  readonly broker: Broker
  readonly key: KeyObject
  readonly artifacts: Artifacts
  /** The variants that devices may choose from now. */
  readonly offers: (model: string, version: number) => readonly Offer[]
  readonly now?: () => number
}

/** A published catalogue. `withdrawn` was offered once and is no longer. */
export interface Published {
  readonly model: string
  readonly version: number
  readonly sequence: number
  readonly digests: readonly string[]
  readonly withdrawn: readonly string[]
}

interface Row {
  model: string
  version: number
  sequence: number
  variants: string
  withdrawn: string
  expiresAt: number
  document: Buffer
}

/** How long a signed document holds; it is signed anew when half of that has passed. */
export const lifetimeMs = 30 * 24 * 3600 * 1000

/** Whether a document is to be signed anew: half its life is over, or the service has another key now. */
export function isOld(
  { document, expiresAt }: Pick<Row, 'document' | 'expiresAt'>,
  key: KeyObject,
  now: number,
): boolean {
  if (expiresAt - now < lifetimeMs / 2) return true
  return !isSignedBy(JSON.parse(document.toString()), [createPublicKey(key)])
}

/** The signed catalogue of every model version, retained at the broker. Its sequence rises with every change. */
export class Catalogues {
  readonly #options: CataloguesOptions
  readonly #now: () => number
  readonly #offered = new Map<string, BlockList>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: CataloguesOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#reload()
  }

  /**
   * Publishes what is offered of a model version; where nothing has changed it publishes nothing.
   * @throws ARTIFACT_UNKNOWN; what was published before then stays.
   */
  publish(model: string, version: number): Promise<Published> {
    return this.#inTurn(async () => {
      const before = this.#row(model, version)
      const variants = await Promise.all(
        this.#options.offers(model, version).map((offer) => this.#cut(offer)),
      )
      if (before && before.variants === JSON.stringify(variants)) return published(before)
      const old = before ? [...published(before).digests, ...published(before).withdrawn] : []
      const withdrawn = [...new Set(old)].filter((digest) => !variants.some((v) => v.digest === digest))
      const row = this.#sign(model, version, (before?.sequence ?? 0) + 1, variants, withdrawn)
      await this.#retain(row)
      return published(row)
    })
  }

  /** Publishes everything anew at a broker that may have forgotten it, signing again what is past half its life or by another key. */
  restore(): Promise<void> {
    return this.#inTurn(async () => {
      for (const row of this.#rows()) {
        const old = isOld(row, this.#options.key, this.#now())
        await this.#retain(
          old
            ? this.#sign(
                row.model,
                row.version,
                row.sequence + 1,
                JSON.parse(row.variants),
                JSON.parse(row.withdrawn),
              )
            : row,
        )
      }
    })
  }

  /** Resolves once everything is published that was asked for so far, or was refused. */
  async settled(): Promise<void> {
    await this.#turn
  }

  /** The version's catalogue, or the newest version's. @throws CATALOGUE_UNKNOWN */
  get(model: string, version?: number): Published {
    const row = this.#row(model, version)
    if (row) return published(row)
    const which = version === undefined ? `model '${model}'` : `version ${version} of model '${model}'`
    throw new EspalierError(
      'CATALOGUE_UNKNOWN',
      `${which} has no variants yet; compile some first: espalier compilations create`,
    )
  }

  /** How an artifact is cut, if any catalogue offers it now. */
  offered(digest: string): BlockList | undefined {
    return this.#offered.get(digest)
  }

  #sign(
    model: string,
    version: number,
    sequence: number,
    variants: CatalogueVariant[],
    withdrawn: string[],
  ): Row {
    const { db, key } = this.#options
    const issuedAt = this.#now()
    const expiresAt = issuedAt + lifetimeMs
    const document = seal(
      catalogue,
      { type: 'catalogue', model, version, sequence, issuedAt, expiresAt, variants },
      key,
    )
    const row: Row = {
      ...{ model, version, sequence, expiresAt, document },
      variants: JSON.stringify(variants),
      withdrawn: JSON.stringify(withdrawn),
    }
    db.prepare<Row>(
      `INSERT OR REPLACE INTO catalogues (model, version, sequence, variants, withdrawn, expiresAt, document)
       VALUES (@model, @version, @sequence, @variants, @withdrawn, @expiresAt, @document)`,
    ).run(row)
    this.#reload()
    return row
  }

  async #retain({ model, version, document }: Row): Promise<void> {
    await this.#options.broker.retain(topic('catalogue', { model, version }), document)
  }

  async #cut(offer: Offer): Promise<CatalogueVariant> {
    const list = this.#offered.get(offer.digest) ?? (await listBlocks(this.#options.artifacts, offer.digest))
    return { ...offer, bytes: list.bytes, blockBytes: list.blockBytes, blocks: [...list.blocks] }
  }

  #row(model: string, version?: number): Row | undefined {
    return this.#options.db
      .prepare<unknown[], Row>(
        'SELECT * FROM catalogues WHERE model = ? AND version = coalesce(?, version) ORDER BY version DESC LIMIT 1',
      )
      .get(model, version ?? null)
  }

  #rows(): Row[] {
    return this.#options.db.prepare<[], Row>('SELECT * FROM catalogues').all()
  }

  #reload(): void {
    this.#offered.clear()
    for (const { variants } of this.#rows())
      for (const { digest, bytes, blockBytes, blocks } of JSON.parse(variants) as CatalogueVariant[])
        this.#offered.set(digest, { bytes, blockBytes, blocks })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

const published = ({ model, version, sequence, variants, withdrawn }: Row): Published => ({
  model,
  version,
  sequence,
  digests: (JSON.parse(variants) as CatalogueVariant[]).map(({ digest }) => digest),
  withdrawn: JSON.parse(withdrawn) as string[],
})
