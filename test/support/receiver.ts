import { createHash } from 'node:crypto'
import { createWriteStream, readFileSync, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EspalierError } from '@espalier/shared'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
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

/** The same file as one response, hashed and written as it comes. @returns ms */
async function byHttp({ url, variant, folder }: Errand): Promise<number> {
  const path = `${folder}/http`
  const began = performance.now()
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    get(url, resolve).on('error', reject),
  )
  const hash = createHash('sha256')
  const hashing = new Transform({
    transform(chunk, _, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(response, hashing, createWriteStream(path, { flush: true }))
  if (hash.digest('hex') !== variant.digest)
    throw new EspalierError('INTERNAL', 'the file came damaged over HTTP')
  const ms = performance.now() - began
  rmSync(path)
  return ms
}

process.once('message', async (errand: Errand) => {
  const ms = errand.by === 'mqtt' ? await byMqtt(errand) : await byHttp(errand)
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  process.send?.({ ms, peak }, () => process.disconnect())
})
