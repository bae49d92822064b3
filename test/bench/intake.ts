import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@espalier/server/store/index.js'
import { encode, reports } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import { centre, reportOf } from '../support/centre.js'
import { connectDevice } from '../support/mqtt.js'

export const about =
  'reports stored per second from --devices (20) at once, --reports (2000) each, one and twenty a message'

/** Sender and service share this process; a report counts when its message is acknowledged, which is when it is on disk. */
export default async function intake(options: Readonly<Record<string, string>>): Promise<object> {
  const devices = Number(options.devices ?? 20)
  const each = Number(options.reports ?? 2000)
  const folder = mkdtempSync(join(tmpdir(), 'espalier-intake-'))
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
  try {
    const db = openDatabase(join(folder, 'bench.db'))
    endings.unshift(() => db.close())
    const scope = { teardown: (end: () => unknown) => void endings.unshift(end), testdir: () => folder }
    const { fleet, broker, telemetry } = await centre(scope, { db })
    const clients = await Promise.all(
      Array.from({ length: devices }, async (_, n) => {
        const id = `d${n}`
        const { client } = await connectDevice(broker.url, id, fleet.admission.create({ id }).password)
        scope.teardown(() => client.end(true))
        return { id, client }
      }),
    )
    const perSecond: Record<string, number> = {}
    for (const perMessage of [1, 20]) {
      const began = performance.now()
      await Promise.all(
        clients.flatMap(({ id, client }) =>
          Array.from({ length: each / perMessage }, (_, n) => {
            const list = Array.from({ length: perMessage }, (_, i) => reportOf(id, `${perMessage}-${n}-${i}`))
            return client.publishAsync(
              topic('reports', { device: id, n }),
              encode(reports, { reports: list }),
              { qos: 1 },
            )
          }),
        ),
      )
      perSecond[perMessage] = Math.round((devices * each) / ((performance.now() - began) / 1000))
    }
    const stored = telemetry.latency({ by: 'model' }).items[0].reports
    return { devices, reports: 2 * devices * each, stored, perSecond, synchronous: 'FULL' }
  } finally {
    for (const end of endings) await end()
  }
}
