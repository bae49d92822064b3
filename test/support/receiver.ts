import { createHash } from 'node:crypto'
import { createWriteStream, readFileSync, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { systemClock } from '@espalier/agent/clock.js'
import { Fetcher } from '@espalier/agent/fetch/fetcher.js'
import { Link } from '@espalier/agent/net/link.js'
import { Artifacts } from '@espalier/agent/store/artifacts.js'
import { EspalierError } from '@espalier/shared'
import { blocksRequest, type CatalogueVariant, encode } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'

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
  const device = 'receiver'
  const artifacts = new Artifacts(folder)
  artifacts.prepare()
  const fetcher = new Fetcher({
    artifacts,
    clock: systemClock,
    isServed: () => link.online,
    send: (request) => {
      void link.publish(topic('blocksRequest', { device }), encode(blocksRequest, request))
      return true
    },
    onProgress: () => {},
    onDamaged: (error) => {
      throw error
    },
  })
  const link = await new Promise<Link>((online) => {
    const made = new Link({
      credential: { id: device, password, broker: url, servicePublicKey: '' },
      agentVersion: 'bench',
      clock: systemClock,
      nextEpoch: () => Date.now(),
      subscriptions: [topic('blocksData', { device })],
      onMessage: () => {},
      onBlock: (payload) => fetcher.take(payload),
      onOnline: () => online(made),
      onOffline: () => {},
    })
    made.start()
  })
  const began = performance.now()
  await fetcher.fetch(variant, new AbortController().signal)
  const ms = performance.now() - began
  await link.stop()
  rmSync(dirname(artifacts.partialPath(variant.digest)), { recursive: true })
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
