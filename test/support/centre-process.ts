import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import { centre } from './centre.js'

/** What the process is asked to set up: so many devices, and an artifact of so many bytes. */
export interface Setup {
  readonly devices: number
  readonly bytes: number
}

export interface Ready {
  readonly url: string
  readonly passwords: readonly string[]
  readonly variant: CatalogueVariant
  readonly idleBytes: number
}

export interface Served {
  readonly peakBytes: number
  readonly blocks: number
}

const memory = (field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) *
  1024

/** The centre in a process of its own, so that its memory can be told from the devices'. */
process.once('message', async ({ devices, bytes }: Setup) => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-centre-'))
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
  const it = await centre({ teardown: (end) => void endings.unshift(end), testdir: () => folder })
  it.offer('bench', bytes)
  await it.catalogues.publish('bench', 1)
  const row = it.db.prepare<[], { variants: string }>('SELECT variants FROM catalogues').get()
  const [variant] = JSON.parse(String(row?.variants)) as CatalogueVariant[]
  const passwords = Array.from(
    { length: devices },
    (_, n) => it.fleet.admission.create({ id: `d${n}` }).password,
  )
  const ready: Ready = { url: it.broker.url, passwords, variant, idleBytes: memory('VmRSS') }
  process.once('message', async () => {
    const served: Served = { peakBytes: memory('VmHWM'), blocks: it.blocks.sent.blocks }
    for (const end of endings) await end()
    process.send?.(served, () => process.disconnect())
  })
  process.send?.(ready)
})
