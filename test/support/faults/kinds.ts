import { setTimeout as sleep } from 'node:timers/promises'
import type { Device } from './device.js'
import { aReport, reportStored, type Trouble } from './wire.js'

/** What a fault may use of the fleet that it befalls. */
export interface Victims {
  readonly random: () => number
  killService(): Promise<void>
  startService(): Promise<void>
  /** Makes the other version of the model the desired one. */
  cross(): Promise<void>
  /** Whether disks are small enough to be filled. */
  readonly hasSmallDisks: boolean
  fillServiceDisk(): void
  emptyServiceDisk(): void
}

type Fault = (device: Device, fleet: Victims) => Promise<void>

/** Everything that may happen, by name. */
export const kinds: Readonly<Record<string, Fault>> = {
  killAgent: async (device, { random }) => {
    await device.end('SIGKILL')
    await sleep(random() * 300)
    device.start()
  },
  killService: async (_, { random, killService, startService }) => {
    await killService()
    await sleep(random() * 500)
    await startService()
  },
  cut: async ({ wire }) => wire.cut(),
  delay: (device, { random }) => during(device, random, { delayMs: 20 + random() * 180 }),
  flip: (device, { random }) => during(device, random, { flip: 0.05 }),
  repeat: (device, { random }) => during(device, random, { repeat: 0.3 }),
  reorder: (device, { random }) => during(device, random, { reorder: 0.3 }),
  replay: async ({ wire }) => {
    wire.replay()
  },
  loseReport: ({ wire }) => wire.next(aReport, { lost: true, ms: REPORT_MS }),
  loseStored: ({ wire }) => wire.next(reportStored, { lost: true, ms: REPORT_MS }),
  killServiceAtReport: async ({ wire }, { killService, startService }) => {
    await wire.next(aReport, { lost: false, ms: REPORT_MS })
    await killService()
    await startService()
  },
  killAgentAtReport: async (device) => {
    await device.wire.next(aReport, { lost: true, ms: REPORT_MS })
    await device.end('SIGKILL')
    device.start()
  },
  clock: async (device, { random }) => device.setClock((random() - 0.5) * 6 * YEAR_MS),
  truncate: async (device, { random }) => {
    await device.end('SIGKILL')
    device.truncateOne(random)
    device.start()
  },
  cross: (_, { cross }) => cross(),
  fullDisk: async (device, { random, hasSmallDisks }) => {
    if (!hasSmallDisks) return
    device.fillDisk()
    await sleep(300 + random() * 700)
    device.emptyDisk()
  },
  fullDiskAndKill: async (device, { random, hasSmallDisks }) => {
    if (!hasSmallDisks) return
    device.fillDisk()
    await sleep(random() * 600)
    await device.end('SIGKILL')
    device.start()
    await sleep(random() * 1500)
    device.emptyDisk()
  },
  fullServiceDisk: async (_, { random, hasSmallDisks, fillServiceDisk, emptyServiceDisk }) => {
    if (!hasSmallDisks) return
    fillServiceDisk()
    await sleep(300 + random() * 700)
    emptyServiceDisk()
  },
}

/** Faults that cannot happen where small disks cannot be mounted. */
export const needSmallDisks: readonly string[] = ['fullDisk', 'fullDiskAndKill', 'fullServiceDisk']

const YEAR_MS = 365 * 86_400_000
/** How long a report is waited for: agents make several a second while they have a variant. */
const REPORT_MS = 10_000

async function during({ wire }: Device, random: () => number, trouble: Partial<Trouble>): Promise<void> {
  wire.trouble = { ...wire.trouble, ...trouble }
  await sleep(300 + random() * 700)
  wire.calm()
}
