import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ready, Served, Setup } from '../support/centre-process.js'
import type { CrowdErrand, Fared, Pace } from '../support/crowd-process.js'
import { startMosquitto } from '../support/plain-mosquitto.js'
import { inLossyNetwork } from './parts/lossy-network.js'

export const about =
  '--devices (1000) in four processes that fetch one artifact of --mb (2) at once; --cases (mqtt,unicast,http; outside,' +
  'outside-unicast with Mosquitto); --frozen (0), --slow (0) of them, at --slow-kb (bytes / 8 s); --loss, a share of all packets: ' +
  'seconds, bytes, memory'

const processes = 4
const cases = {
  mqtt: {},
  unicast: { isAlone: true },
  http: { by: 'http' },
  outside: { isOutside: true },
  'outside-unicast': { isOutside: true, isAlone: true },
} as const
type Case = { readonly by?: 'http'; readonly isAlone?: boolean; readonly isOutside?: boolean }

interface Sizes {
  readonly devices: number
  readonly bytes: number
  readonly frozen: number
  readonly slow: number
  readonly slowBytesPerSecond: number
}

/** The service is a process of its own; every device is the agent's own code, which checks each block and then the whole. */
export default async function crowd(options: Readonly<Record<string, string>>): Promise<object> {
  if (options.loss !== undefined) return inLossyNetwork(import.meta.url, options)
  const bytes = Math.round(Number(options.mb ?? 2) * 1e6)
  const sizes: Sizes = {
    ...{ devices: Number(options.devices ?? 1000), bytes },
    frozen: Number(options.frozen ?? 0),
    slow: Number(options.slow ?? 0),
    slowBytesPerSecond: options['slow-kb'] ? Number(options['slow-kb']) * 1000 : bytes / 8,
  }
  const results: Record<string, object> = {}
  for (const name of (options.cases ?? 'mqtt,unicast,http').split(','))
    results[name] = await run(sizes, cases[name as keyof typeof cases])
  return { ...sizes, ...results }
}

async function run(sizes: Sizes, { by, isAlone, isOutside }: Case): Promise<object> {
  const { devices, bytes } = sizes
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'espalier-crowd-'))
  const mosquitto = isOutside ? await startMosquitto(folder) : null
  const service = fork(new URL('../support/centre-process.js', import.meta.url), { stdio: 'inherit' })
  const setup: Setup = {
    ...{ devices, bytes, broker: mosquitto?.url },
    crowd: isAlone ? { from: Number.MAX_SAFE_INTEGER } : undefined,
  }
  service.send(setup)
  const [ready] = (await once(service, 'message')) as [Ready]
  const fleet = await gather(sizes, ready, by ?? 'mqtt', folder)
  for (const child of fleet) child.send('go')
  const fared = (await Promise.all(fleet.map((child) => once(child, 'message')))).flatMap(
    ([list]) => list as Fared[],
  )
  const brokerPeakBytes = mosquitto?.peakBytes() ?? null
  service.send('done')
  const [served] = (await once(service, 'message')) as [Served]
  mosquitto?.end()
  rmSync(folder, { recursive: true })
  return summary(sizes, ready, served, fared, brokerPeakBytes)
}

/** Starts the devices' processes and waits until all are connected. */
async function gather(
  { devices, frozen, slow, slowBytesPerSecond }: Sizes,
  { url, httpUrl, passwords, variant }: Ready,
  by: 'mqtt' | 'http',
  folder: string,
): Promise<ChildProcess[]> {
  const paceOf = (n: number): Pace => (n < frozen ? 'frozen' : n < frozen + slow ? 'slow' : 'free')
  const members = passwords.map((password, n) => ({ id: `d${n}`, password, pace: paceOf(n) }))
  const each = Math.ceil(devices / processes)
  const parts = Array.from({ length: processes }, (_, n) => members.slice(n * each, (n + 1) * each))
  const fleet = parts.map((part) => {
    const child = fork(new URL('../support/crowd-process.js', import.meta.url), { stdio: 'inherit' })
    const errand: CrowdErrand = {
      ...{ by, variant, folder, slowBytesPerSecond, members: part },
      url: by === 'http' ? httpUrl : url,
    }
    child.send(errand)
    return child
  })
  await Promise.all(fleet.map((child) => once(child, 'message')))
  return fleet
}

function summary(
  { devices, bytes, frozen }: Sizes,
  { variant, idleBytes }: Ready,
  { peakBytes, cpuSeconds, sent }: Served,
  fared: readonly Fared[],
  brokerPeakBytes: number | null,
): object {
  const secondsOf = (pace: Pace) =>
    Math.max(0, ...fared.filter((f) => f.pace === pace).map(({ seconds }) => seconds ?? 0))
  const done = fared.filter(({ seconds }) => seconds !== null)
  const sum = (of: (f: Fared) => number) => done.reduce((total, f) => total + of(f), 0)
  const seconds = secondsOf('free')
  return {
    done: done.length,
    seconds: round(seconds),
    slowSeconds: round(secondsOf('slow')),
    bytesPerSecond: Math.round(((devices - frozen) * bytes) / seconds),
    damagedBlocks: sum((f) => f.damagedBlocks),
    arrivedPerNeeded: round(sum((f) => f.arrivedBlocks) / (done.length * variant.blocks.length)),
    sentByServicePerNeeded: round(sent.bytes / (devices * bytes)),
    blocksForMany: sent.forMany,
    serviceCpuSeconds: round(cpuSeconds),
    ...{ idleBytes, peakBytes, brokerPeakBytes },
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000
