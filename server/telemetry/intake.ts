import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  check,
  encode,
  parseJson,
  type Report,
  type ReportsAck,
  report,
  reports,
  reportsAck,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker, Incoming } from '../broker/index.js'
import type { ReportStore } from './store.js'

/**
 * Takes reports in: a message is done, and at the embedded broker acknowledged, when its reports are committed;
 * `reports/ack` then names them. What can never be stored is named there too, so that no outbox waits for it.
 */
export class ReportIntake {
  constructor(
    private readonly broker: Broker,
    private readonly store: ReportStore,
  ) {
    broker.handle('reports', (incoming) => this.#take(incoming))
  }

  async #take({ device, payload }: Incoming): Promise<void> {
    const good: Report[] = []
    const refused: NonNullable<ReportsAck['refused']> = []
    let unnamed: EspalierError | undefined
    for (const candidate of listed(payload)) {
      try {
        good.push(own(device, check(report, candidate)))
      } catch (thrown) {
        const error = asEspalierError(thrown)
        const id = idOf(candidate)
        if (id) refused.push({ id, code: error.code, message: error.message.slice(0, 500) })
        unnamed = error
      }
    }
    if (good.length) await this.store.add(good)
    const ack = { stored: good.map(({ id }) => id), ...(refused.length ? { refused } : {}) }
    if (good.length + refused.length)
      this.broker.send(device, topic('reportsAck', { device }), encode(reportsAck, ack))
    if (unnamed) throw unnamed
  }
}

function listed(payload: Buffer): unknown[] {
  const message = parseJson(reports.name, reports.maxBytes, payload)
  const list =
    typeof message === 'object' && message !== null && 'reports' in message ? message.reports : undefined
  if (Array.isArray(list) && list.length >= 1 && list.length <= 100) return list
  throw new EspalierError('MESSAGE_INVALID', 'reports: "reports" must be a list of 1 to 100 reports')
}

function own(device: string, it: Report): Report {
  if (it.device === device) return it
  throw new EspalierError(
    'MESSAGE_INVALID',
    `report ${it.id}: it is of device '${it.device}', but '${device}' sent it`,
  )
}

function idOf(candidate: unknown): string | undefined {
  if (typeof candidate !== 'object' || candidate === null || !('id' in candidate)) return
  const { id } = candidate
  return typeof id === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(id) ? id : undefined
}
