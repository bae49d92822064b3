import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  blocksRequest,
  type CatalogueVariant,
  encode,
  parseBlock,
  wanted,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import type { Ready, Served, Setup } from '../support/centre-process.js'
import { connectDevice, type TestDevice } from '../support/mqtt.js'

export const about =
  '--devices (1000) that fetch one artifact of --mb (2) at once: seconds, and the memory of the service'

const window = 16

/** The devices share this process; the service has one of its own. Every block is checked against the catalogue. */
export default async function crowd(options: Readonly<Record<string, string>>): Promise<object> {
  const devices = Number(options.devices ?? 1000)
  const bytes = Math.round(Number(options.mb ?? 2) * 1e6)
  const service = fork(new URL('../support/centre-process.js', import.meta.url), { stdio: 'inherit' })
  const setup: Setup = { devices, bytes }
  service.send(setup)
  const [{ url, passwords, variant, idleBytes }] = (await once(service, 'message')) as [Ready]
  const fleet: TestDevice[] = []
  for (const [n, password] of passwords.entries()) {
    const device = await connectDevice(url, `d${n}`, password, { keepalive: 300 })
    await device.client.subscribeAsync(topic('blocksData', { device: `d${n}` }))
    fleet.push(device)
  }
  const began = performance.now()
  const wrong = await Promise.all(fleet.map((device, n) => fetchAll(device, `d${n}`, variant)))
  const seconds = (performance.now() - began) / 1000
  for (const { client } of fleet) client.end(true)
  service.send('done')
  const [{ peakBytes, blocks }] = (await once(service, 'message')) as [Served]
  await once(service, 'exit')
  return {
    ...{ devices, bytes, seconds, idleBytes, peakBytes },
    bytesPerSecond: Math.round((devices * bytes) / seconds),
    wrongBlocks: wrong.reduce((sum, n) => sum + n, 0),
    blocksSentPerBlock: blocks / (devices * variant.blocks.length),
  }
}

/** Fetches window by window. @returns how many blocks were not what the catalogue says. */
function fetchAll(device: TestDevice, id: string, { digest, blocks }: CatalogueVariant): Promise<number> {
  const have = new Uint8Array(blocks.length)
  let [asked, arrived, wrong] = [0, 0, 0]
  const ask = () => {
    const next = Array.from({ length: Math.min(window, blocks.length - asked) }, (_, i) => asked + i)
    asked += next.length
    const request = encode(blocksRequest, { digest, ...wanted(next), window })
    device.client.publish(topic('blocksRequest', { device: id }), request, { qos: 1 })
  }
  return new Promise((resolve) => {
    device.client.removeAllListeners('message')
    device.client.on('message', (_, bytes) => {
      const { index, payload } = parseBlock(bytes)
      if (createHash('sha256').update(payload).digest('hex') !== blocks[index] || have[index]) wrong++
      have[index] = 1
      if (++arrived === blocks.length) resolve(wrong)
      else if (arrived === asked) ask()
    })
    ask()
  })
}
