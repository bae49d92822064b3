import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OutsideBroker } from '@espalier/server/broker/index.js'
import { type Artifacts, type BlockList, BlockServer } from '@espalier/server/delivery/index.js'
import { centre, type Scope } from '../support/centre.js'
import { Log } from '../support/mqtt.js'
import { Path } from '../support/path.js'
import { startMosquitto } from '../support/plain-mosquitto.js'
import type { Errand } from '../support/receiver.js'
import { inLossyNetwork } from './parts/lossy-network.js'

export const about =
  'bytes/s of --mb (32) over MQTT, over a plain Node HTTP stream of the same file; --rounds (7) in turn; both by a way of --delay ' +
  '(0) ms each way and --rate (unbounded) MB/s; --loss, a share of all packets; --outside puts Mosquitto in the embedded broker’s place'

interface Result {
  readonly ms: number
  readonly peak: number
}

/**
 * One sender, this process; one receiver, a new process each time, that hashes and writes to disk in both cases
 * (over MQTT by the agent's own code, which hashes twice: every block, and then the whole).
 */
export default async function delivery(options: Readonly<Record<string, string>>): Promise<object> {
  if (options.loss !== undefined) return inLossyNetwork(import.meta.url, options)
  const bytes = Math.round(Number(options.mb ?? 32) * 1e6)
  const rounds = Number(options.rounds ?? 7)
  const [delayMs, mostPerSecond] = [Number(options.delay ?? 0), Number(options.rate ?? 0) * 1e6]
  // What a connection may hold is what a path of this delay and rate holds, and a buffer of a quarter of a second.
  const way = {
    delayMs,
    ...(mostPerSecond > 0 && {
      bytesPerSecond: mostPerSecond,
      holdBytes: (mostPerSecond * (delayMs + 250)) / 1000,
    }),
  }
  const folder = mkdtempSync(join(tmpdir(), 'espalier-bench-'))
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
  try {
    const scope = { teardown: (end: () => unknown) => void endings.unshift(end), testdir: () => folder }
    const { offer, catalogues, fleet, broker, artifacts, blocks, db } = await centre(scope)
    const { digest } = offer('bench', bytes)
    await catalogues.publish('bench', 1)
    const row = db.prepare<[], { variants: string }>('SELECT variants FROM catalogues').get()
    const [variant] = JSON.parse(String(row?.variants))
    const { password } = fleet.admission.create({ id: 'receiver' })
    const http = createServer((_, response) => createReadStream(artifacts.path(digest)).pipe(response))
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    scope.teardown(() => http.close())
    const { url: brokerUrl, sent } = options.outside
      ? await outside(scope, artifacts, (asked) => catalogues.offered(asked))
      : { url: broker.url, sent: blocks.sent }
    const urls = await Promise.all(
      [brokerUrl, `http://127.0.0.1:${(http.address() as AddressInfo).port}/`].map(async (url) => {
        if (delayMs === 0 && mostPerSecond === 0) return url
        const path = await Path.to(url, way)
        scope.teardown(() => path.close())
        return path.url(url)
      }),
    )
    const urlOf = { mqtt: urls[0], http: urls[1] }
    const results: Record<'mqtt' | 'http', Result[]> = { mqtt: [], http: [] }
    for (let round = -1; round < rounds; round++)
      for (const by of ['http', 'mqtt'] as const) {
        const result = await receive({ by, url: urlOf[by], password, variant, folder })
        if (round >= 0) results[by].push(result) // the first round warms up
      }
    const rate = (by: 'mqtt' | 'http') => bytes / (median(results[by].map(({ ms }) => ms)) / 1000)
    const ratios = results.mqtt.map(({ ms }, i) => results.http[i].ms / ms)
    return {
      bytes,
      ...{ delayMs, mostPerSecond: mostPerSecond || null },
      rounds,
      blockBytes: variant.blockBytes,
      mqttBytesPerSecond: Math.round(rate('mqtt')),
      httpBytesPerSecond: Math.round(rate('http')),
      ratio: round3(rate('mqtt') / rate('http')),
      ratioOfRounds: {
        least: round3(Math.min(...ratios)),
        median: round3(median(ratios)),
        most: round3(Math.max(...ratios)),
      },
      blocksSentPerBlock: round3(sent.blocks / (variant.blocks.length * (rounds + 1))),
      receiverPeakBytes: {
        mqtt: Math.max(...results.mqtt.map(({ peak }) => peak)),
        http: Math.max(...results.http.map(({ peak }) => peak)),
      },
    }
  } finally {
    for (const end of endings) await end()
  }
}

/** The service at a Mosquitto of its own. */
async function outside(
  scope: Scope,
  artifacts: Artifacts,
  offered: (digest: string) => BlockList | undefined,
): Promise<{ url: string; sent: BlockServer['sent'] }> {
  const { url, end } = await startMosquitto(scope.testdir())
  scope.teardown(end)
  const log = new Log()
  const broker = new OutsideBroker({ url, log })
  const { sent } = new BlockServer({ broker, artifacts, log, offered })
  await broker.start()
  scope.teardown(() => broker.close())
  return { url, sent }
}

async function receive(errand: Errand): Promise<Result> {
  const child = fork(new URL('../support/receiver.js', import.meta.url), { stdio: 'inherit' })
  child.send(errand)
  const [result] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the receiver ended with ${code}`))),
  ])) as [Result]
  await once(child, 'exit')
  return result
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half) - 1]) / 2
}

const round3 = (value: number) => Math.round(value * 1000) / 1000
