import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Ready, Served, Setup } from '../support/centre-process.js'
import type { Order } from '../support/hostile/attack-process.js'
import { attacks } from '../support/hostile/attackers.js'
import { Honest } from '../support/hostile/honest.js'

export const about =
  '--packets (10000) mutated MQTT packets, floods and crowds for --seconds (5) each: how an honest device fares meanwhile, and the memory of the service'

const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20)
const setup: Setup = { devices: 12, bytes: 32_000_000 }

/** Service, attacker and honest device are processes of their own; each attack meets a fresh service. */
export default async function run(options: Readonly<Record<string, string>>): Promise<object> {
  const packets = Number(options.packets ?? 10_000)
  const forMs = Number(options.seconds ?? 5) * 1000
  const orders: Record<string, Partial<Order>> = { 'mutated packets': { packets } }
  for (const attack of Object.keys(attacks)) orders[attack] = { attack, forMs }
  const only = options.only
  const results: Record<string, object> = {}
  for (const [name, order] of Object.entries(orders))
    if (only === undefined || name.includes(only)) results[name] = await suffer(order)
  return results
}

async function suffer(order: Partial<Order>): Promise<object> {
  const service = fork(new URL('../support/centre-process.js', import.meta.url), { stdio: 'inherit' })
  service.send(setup)
  const [{ url, passwords, idleBytes }] = (await once(service, 'message')) as [Ready]
  const honest = await Honest.join(url, 'd0', passwords[0])
  for (let n = 0; n < 20; n++) await honest.report()
  const before = honest.waits.medianMs
  const attacker = fork(new URL('../support/hostile/attack-process.js', import.meta.url))
  const logins = passwords.slice(1).map((password, n) => ({ id: `d${n + 1}`, password, victim: 'd0' }))
  attacker.send({ ...order, port: Number(new URL(url).port), logins })
  const [seen] = await honest.during(once(attacker, 'message'))
  const { served, medianMs, longestMs } = honest.waits
  const connected = honest.device.client.connected
  await honest.device.client.endAsync(true)
  service.send('done')
  const [{ peakBytes }] = (await once(service, 'message')) as [Served]
  await once(service, 'exit')
  return {
    attacker: seen,
    honest: { connected, reports: served - 20, medianMsBefore: before, medianMs, longestMs },
    idleMiB: mebibytes(idleBytes),
    peakMiB: mebibytes(peakBytes),
  }
}
