import { readFileSync } from 'node:fs'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import { fetchByHttp } from './by-http.js'
import { FetchingDevice } from './fetching.js'

/** What the receiving process is asked to do, once. */
export interface Errand {
  readonly by: 'http' | 'mqtt'
  readonly url: string
  readonly password: string
  readonly variant: CatalogueVariant
  readonly folder: string
}

/** The artifact by the agent's own lane: every block hashed and written, then the whole hashed again. @returns ms */
async function byMqtt({ url, password, variant, folder }: Errand): Promise<number> {
  const device = await new FetchingDevice({ id: 'receiver', password, broker: url, folder }).connect()
  const ms = await device.fetch(variant)
  await device.stop()
  if (device.damaged.length > 0) throw device.damaged[0]
  return ms
}

process.once('message', async (errand: Errand) => {
  const { by, url, folder, variant } = errand
  const ms = by === 'mqtt' ? await byMqtt(errand) : await fetchByHttp(url, `${folder}/http`, variant.digest)
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  process.send?.({ ms, peak }, () => process.disconnect())
})
