import '@espalier/server/thrift.js'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OutsideBroker } from '@espalier/server/broker/index.js'
import { listBlocks } from '@espalier/server/delivery/artifact-blocks.js'
import { BlockServer, type BlockServerOptions } from '@espalier/server/delivery/index.js'
import { openDatabase } from '@espalier/server/store/index.js'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import { centre, offerOf, type Scope } from './centre.js'
import { Log } from './mqtt.js'

/** What the process is asked to set up: so many devices, and an artifact of so many bytes. */
export interface Setup {
  readonly devices: number
  readonly bytes: number
  readonly crowd?: BlockServerOptions['crowd']
  /** A broker of somebody else's, in place of the embedded one. */
  readonly broker?: string
}

export interface Ready {
  readonly url: string
  /** The artifact as one response. */
  readonly httpUrl: string
  readonly passwords: readonly string[]
  readonly variant: CatalogueVariant
  readonly idleBytes: number
}

export interface Served {
  readonly peakBytes: number
  readonly cpuSeconds: number
  readonly sent: BlockServer['sent']
}

const memory = (field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) *
  1024

async function embedded(scope: Scope, { devices, bytes, crowd }: Setup) {
  const db = openDatabase(join(scope.testdir(), 'espalier.db'))
  scope.teardown(() => db.close())
  const it = await centre(scope, { crowd, db })
  const { digest } = it.offer('bench', bytes)
  await it.catalogues.publish('bench', 1)
  const passwords = Array.from(
    { length: devices },
    (_, n) => it.fleet.admission.create({ id: `d${n}` }).password,
  )
  return { url: it.broker.url, passwords, digest, artifacts: it.artifacts, blocks: it.blocks }
}

async function outside(scope: Scope, { devices, bytes, crowd }: Setup, url: string) {
  const data = randomBytes(bytes)
  const digest = createHash('sha256').update(data).digest('hex')
  const artifacts = { path: (name: string) => join(scope.testdir(), name) }
  writeFileSync(artifacts.path(digest), data)
  const list = await listBlocks(artifacts, digest)
  const log = new Log()
  const broker = new OutsideBroker({ url, log })
  const offered = (asked: string) => (asked === digest ? list : undefined)
  const blocks = new BlockServer({ broker, artifacts, log, crowd, offered })
  await broker.start()
  scope.teardown(() => broker.close())
  return { url, passwords: Array.from({ length: devices }, () => 'x'), digest, artifacts, blocks }
}

/** The centre in a process of its own, so that its memory can be told from the devices'. */
process.once('message', async (setup: Setup) => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-centre-'))
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
  const scope = { teardown: (end: () => unknown) => void endings.unshift(end), testdir: () => folder }
  const it = await (setup.broker ? outside(scope, setup, setup.broker) : embedded(scope, setup))
  const { digest, artifacts, url, passwords } = it
  const http = createServer((_, response) => createReadStream(artifacts.path(digest)).pipe(response))
  http.listen({ port: 0, host: '127.0.0.1', backlog: 2048 })
  await once(http, 'listening')
  scope.teardown(() => {
    http.closeAllConnections()
    http.close()
  })
  const { bytes, blockBytes, blocks } = await listBlocks(artifacts, digest)
  const ready: Ready = {
    ...{ url, passwords, idleBytes: memory('VmRSS') },
    httpUrl: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
    variant: { ...offerOf('bench', digest), bytes, blockBytes, blocks: [...blocks] },
  }
  process.once('message', async () => {
    const { user, system } = process.cpuUsage()
    const cpuSeconds = (user + system) / 1e6
    const served: Served = { peakBytes: memory('VmHWM'), cpuSeconds, sent: it.blocks.sent }
    for (const end of endings) await end()
    process.send?.(served, () => process.exit())
  })
  process.send?.(ready)
})
