import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import { fetchByHttp } from './by-http.js'
import { FetchingDevice } from './fetching.js'
import { Path } from './path.js'

export type Pace = 'free' | 'slow' | 'frozen'

/** What a process full of devices is asked to do, once. */
export interface CrowdErrand {
  readonly by: 'mqtt' | 'http'
  readonly url: string
  readonly members: readonly { readonly id: string; readonly password: string; readonly pace: Pace }[]
  readonly variant: CatalogueVariant
  readonly folder: string
  readonly slowBytesPerSecond: number
}

/** How a device fared: `seconds` is null for one that froze, as it should not end. */
export interface Fared {
  readonly pace: Pace
  readonly seconds: number | null
  readonly arrivedBlocks: number
  readonly damagedBlocks: number
}

const connectAtOnce = 50

/** A device by either way, ready to begin. */
type Ready = () => Promise<Fared>

async function prepare(errand: CrowdErrand, member: CrowdErrand['members'][number]): Promise<Ready> {
  const { by, variant, slowBytesPerSecond } = errand
  const { id, password, pace } = member
  const folder = join(errand.folder, id)
  mkdirSync(folder, { recursive: true })
  const path =
    pace === 'free'
      ? null
      : await Path.to(errand.url, pace === 'slow' ? { bytesPerSecond: slowBytesPerSecond } : {})
  const url = path ? path.url(errand.url) : errand.url
  const settings = { id, password, broker: url, folder, keepaliveSeconds: 300 }
  const device = by === 'mqtt' ? await new FetchingDevice(settings).connect() : null
  const abort = new AbortController()
  const begin = () =>
    device
      ? device.fetch(variant, abort.signal)
      : fetchByHttp(url, join(folder, 'x'), variant.digest, abort.signal)
  const fared = (seconds: number | null): Fared => ({
    ...{ pace, seconds },
    arrivedBlocks: device?.arrived ?? variant.blocks.length,
    damagedBlocks: device?.damaged.length ?? 0,
  })
  if (pace === 'frozen')
    return async () => {
      begin().catch(() => undefined)
      setTimeout(() => path?.freeze(), 20)
      return fared(null)
    }
  return async () => fared((await begin()) / 1000)
}

process.once('message', async (errand: CrowdErrand) => {
  const ready: Ready[] = []
  const { members } = errand
  for (let at = 0; at < members.length; at += connectAtOnce)
    ready.push(
      ...(await Promise.all(members.slice(at, at + connectAtOnce).map((member) => prepare(errand, member)))),
    )
  process.once('message', async () => {
    const fared = await Promise.all(ready.map((begin) => begin()))
    process.send?.(fared, () => process.exit())
  })
  process.send?.('ready')
})
