import type { KeyObject } from 'node:crypto'
import { desired } from '@espalier/shared/messages/index.js'
import { seal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker, Logger } from '../broker/index.js'
import { type Catalogues, isOld, lifetimeMs, type Published } from '../delivery/index.js'
import type { Objective } from '../http/schemas/index.js'
import type { Database } from '../store/index.js'

/** What an operator wants a device to run. */
export interface Order {
  readonly model: string
  readonly version: number
  readonly objective: Objective
}

export interface DesiredRow {
  readonly device: string
  readonly revision: number
  readonly model: string
  readonly version: number
  readonly catalogueSequence: number
  readonly objective: string
  readonly expiresAt: number
  readonly document: Buffer
}

/** The signed, retained document that tells each device what to run. Its revision rises with every change. */
export class DesiredDocuments {
  constructor(
    private readonly db: Database,
    private readonly broker: Broker,
    private readonly key: KeyObject,
    private readonly catalogues: Catalogues,
    private readonly log: Logger,
    private readonly now: () => number,
  ) {}

  get(device: string): DesiredRow | undefined {
    return this.db.prepare<[string], DesiredRow>('SELECT * FROM desired WHERE device = ?').get(device)
  }

  /** Signs and stores; `retain` publishes. @throws CATALOGUE_UNKNOWN */
  set(device: string, { model, version, objective }: Order): DesiredRow {
    const { sequence: catalogueSequence, withdrawn } = this.catalogues.get(model, version)
    const revision = (this.get(device)?.revision ?? 0) + 1
    const issuedAt = this.now()
    const expiresAt = issuedAt + lifetimeMs
    const document = seal(
      desired,
      {
        type: 'desired',
        ...{ device, revision, issuedAt, expiresAt, model, version, catalogueSequence },
        objective: { maximise: 'accuracy', ...objective },
        withdrawn: withdrawn.slice(-256),
      },
      this.key,
    )
    const row: DesiredRow = {
      ...{ device, revision, model, version, catalogueSequence, expiresAt, document },
      objective: JSON.stringify(objective),
    }
    this.db
      .prepare<DesiredRow>(
        `INSERT OR REPLACE INTO desired (device, revision, model, version, catalogueSequence, objective, expiresAt, document)
         VALUES (@device, @revision, @model, @version, @catalogueSequence, @objective, @expiresAt, @document)`,
      )
      .run(row)
    return row
  }

  /** Publishes; a broker that is away has it again from `restore`. */
  retain({ device, document }: DesiredRow): void {
    this.broker
      .retain(topic('desired', { device }), document)
      .catch((err) => this.log.error({ device, err }, 'what a device should run could not be published'))
  }

  /** Signs anew for every device of a model version, whose catalogue has changed. @returns the devices. */
  renew({ model, version, sequence }: Published): string[] {
    const rows = this.db
      .prepare<[string, number, number], DesiredRow>(
        'SELECT * FROM desired WHERE model = ? AND version = ? AND catalogueSequence < ?',
      )
      .all(model, version, sequence)
    for (const row of this.db.transaction(() => rows.map((row) => this.#again(row)))()) this.retain(row)
    return rows.map(({ device }) => device)
  }

  /** Publishes everything at a broker that may have forgotten it, signing again what is past half its life or by another key. */
  restore(): void {
    for (const row of this.db.prepare<[], DesiredRow>('SELECT * FROM desired').all())
      this.retain(isOld(row, this.key, this.now()) ? this.#again(row) : row)
  }

  #again({ device, model, version, objective }: DesiredRow): DesiredRow {
    return this.set(device, { model, version, objective: JSON.parse(objective) as Objective })
  }
}
