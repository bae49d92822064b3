import { join } from 'node:path'
import { readText } from '../store/files.js'

/** What machine this is, as far as its kernel tells. */
export interface BoardFacts {
  /** A name for people: the device tree's model, or the maker and product of a PC. */
  readonly board: string
  /** The system on chip in the device tree's words, such as `brcm,bcm2711`; a PC's processor otherwise. */
  readonly soc: string
  /** All of the device tree's `compatible`, most exact first. Empty on a PC. */
  readonly compatible: readonly string[]
  readonly kernel: string
  /** First line of `/etc/nv_tegra_release`, on a Jetson. */
  readonly jetsonRelease?: string
  /** The Jetson's power mode as nvpmodel counts them. */
  readonly powerMode?: string
}

export function boardFacts(root: string): BoardFacts {
  const text = (path: string) => readText(join(root, path))?.replace(/\0+$/, '').trim() || null
  const compatible = text('proc/device-tree/compatible')?.split('\0') ?? []
  const release = text('etc/nv_tegra_release')?.split('\n')[0].replace(/^#\s*/, '')
  const powerMode = /pmode:(\d+)/.exec(text('var/lib/nvpmodel/status') ?? '')?.[1]
  const processor = /^model name\s*:\s*(.+)$/m.exec(text('proc/cpuinfo') ?? '')?.[1]
  return {
    board: text('proc/device-tree/model') ?? productOfPc(text) ?? 'unknown',
    soc: compatible.at(-1) ?? processor ?? 'unknown',
    compatible,
    kernel: text('proc/sys/kernel/osrelease') ?? 'unknown',
    ...(release && { jetsonRelease: release }),
    ...(powerMode && { powerMode: String(Number(powerMode)) }),
  }
}

/** Maker and product of a PC from DMI, without what boards without a name fill in there. */
function productOfPc(text: (path: string) => string | null): string | null {
  const meaningless = /^(to be filled|default string|system (manufacturer|product)|not specified|none$)/i
  const parts = ['sys_vendor', 'product_name']
    .map((name) => text(`sys/class/dmi/id/${name}`))
    .filter((part): part is string => part !== null && !meaningless.test(part))
  return parts.length > 0 ? parts.join(' ') : null
}
