import { setTimeout as sleep } from 'node:timers/promises'
import { EspalierError } from '@espalier/shared'
import type { Logs } from '@espalier/shared/messages/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { type Define, outputOf, positive } from './command.js'
import { harmless } from './output.js'

type Options = ServerOptions & { json?: boolean; last?: boolean; wait: number }
type Answer = { readonly logs: Logs | null }

/** `espalier devices logs`. */
export const deviceLogs: Define = (devices) => {
  serverOptions(
    devices
      .command('logs <device>')
      .description("ask for the newest lines of a device's log, and show them")
      .option('--wait <seconds>', 'how long to wait for them', positive, 30)
      .option('--last', 'show what it sent last, and ask for nothing'),
  ).action(async (id: string, options: Options) => {
    const client = new Client(options)
    const path = `/v1/devices/${encodeURIComponent(id)}`
    const logs = options.last
      ? (await client.get<Answer>(`${path}/logs`)).logs
      : await asked(client, path, id, options.wait)
    if (!logs)
      throw new EspalierError(
        'DEVICE_SILENT',
        `${id} has sent no log yet; ask for it: espalier devices logs ${id}`,
      )
    outputOf(options).result({ device: id, ...logs }, () =>
      logs.text.trimEnd().split('\n').map(harmless).join('\n'),
    )
  })
}

/** What the device answers to a command of ours. @throws DEVICE_SILENT */
async function asked(client: Client, path: string, id: string, seconds: number): Promise<Logs> {
  const { n } = await client.send<{ n: number }>('POST', `${path}/commands`, { action: 'logs' })
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) {
    const { logs } = await client.get<Answer>(`${path}/logs`)
    if (logs && logs.n >= n) return logs
  }
  throw new EspalierError(
    'DEVICE_SILENT',
    `${id} has not answered within ${seconds} s; it is asked for a day, whenever it is heard of: espalier devices logs ${id} --last`,
  )
}
