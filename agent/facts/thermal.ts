import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, readText } from '../store/files.js'

/** How hot and how free the machine is, and what it draws, at one moment. Null: this machine does not tell. */
export interface Heat {
  /** The hottest thermal zone, °C. */
  readonly temperatureC: number | null
  /** The fastest core at this moment, MHz. */
  readonly frequencyMhz: number | null
  /** What the whole board draws, W. */
  readonly powerW: number | null
  /** True while the machine slows itself down. */
  readonly throttling: boolean | null
  /** Counts slowings since boot; a run in which it rises was throttled. */
  readonly throttleEvents: number | null
}

export interface Governors {
  /** cpufreq governor of the first processor. */
  readonly governor?: string
  /** devfreq governor of a Jetson's GPU. */
  readonly gpuGovernor?: string
}

/** Reads zones, cpufreq, the power monitor and the throttling counters that this machine has (Raspberry Pi, Jetson, x86). */
export function heat(root: string): Heat {
  const pi = piThrottling(root)
  const counts = [...jetsonCounts(root), ...coreThrottleCounts(root)]
  if (pi !== null && pi > 0xffff) counts.push(pi >> 16)
  return {
    temperatureC: hottest(root),
    frequencyMhz: fastest(root),
    powerW: drawn(root),
    throttling: pi === null ? null : (pi & 0xf) !== 0,
    throttleEvents: counts.length > 0 || pi !== null ? counts.reduce((sum, n) => sum + n, 0) : null,
  }
}

export function governors(root: string): Governors {
  const governor = word(join(root, 'sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'))
  const devfreq = join(root, 'sys/class/devfreq')
  const gpu = entries(devfreq).find((name) => /gpu|gv11b|ga10b|gp10b/.test(name))
  const gpuGovernor = gpu && word(join(devfreq, gpu, 'governor'))
  return { ...(governor && { governor }), ...(gpuGovernor && { gpuGovernor }) }
}

/** Names of the thermal zones, such as `cpu-thermal`. */
export function thermalZones(root: string): string[] {
  const folder = join(root, 'sys/class/thermal')
  return zones(folder).map((zone) => word(join(folder, zone, 'type')) ?? zone)
}

/**
 * The firmware's bits on a Raspberry Pi (0 under-voltage, 1 capped, 2 throttled, 3 soft limit; the same from
 * 16 on: since boot), or only under-voltage where the kernel gives no more; null on other boards.
 */
function piThrottling(root: string): number | null {
  const bits = word(join(root, 'sys/devices/platform/soc/soc:firmware/get_throttled'))
  if (bits && /^(0x)?[0-9a-f]+$/i.test(bits)) return Number.parseInt(bits, 16)
  const alarm = hwmon(root, 'rpi_volt').map((folder) => word(join(folder, 'in0_lcrit_alarm')))[0]
  return alarm ? Number(alarm) : null
}

/** The rail that everything else hangs on: of the Orin, Xavier and TX2 modules, and of the first Nano. */
const inputRails = ['VDD_IN', 'POM_5V_IN']

/** A Jetson's power at the input of its module: mV times mA of the INA3221's channel for that rail, in W. */
function drawn(root: string): number | null {
  for (const folder of hwmon(root, 'ina3221')) {
    for (const file of entries(folder)) {
      const channel = /^in(\d+)_label$/.exec(file)?.[1]
      if (channel === undefined || !inputRails.includes(word(join(folder, file)) ?? '')) continue
      const millivolts = numberIn(join(folder, `in${channel}_input`))
      const milliamperes = numberIn(join(folder, `curr${channel}_input`))
      if (millivolts !== null && milliamperes !== null) return (millivolts * milliamperes) / 1e6
    }
  }
  return null
}

/** Over-current and thermal events of a Jetson. */
function jetsonCounts(root: string): number[] {
  return hwmon(root, 'soctherm_oc').flatMap((folder) =>
    entries(folder)
      .filter((file) => /^oc\d+_event_cnt$/.test(file))
      .map((file) => numberIn(join(folder, file)) ?? 0),
  )
}

function coreThrottleCounts(root: string): number[] {
  const cpus = join(root, 'sys/devices/system/cpu')
  return entries(cpus)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => numberIn(join(cpus, name, 'thermal_throttle/core_throttle_count')))
    .filter((count): count is number => count !== null)
}

function hottest(root: string): number | null {
  const folder = join(root, 'sys/class/thermal')
  const values = zones(folder)
    .map((zone) => numberIn(join(folder, zone, 'temp')))
    .filter((value): value is number => value !== null && value > 0)
  return values.length > 0 ? Math.max(...values) / 1000 : null
}

function fastest(root: string): number | null {
  const cpus = join(root, 'sys/devices/system/cpu')
  const values = entries(cpus)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => numberIn(join(cpus, name, 'cpufreq/scaling_cur_freq')))
    .filter((value): value is number => value !== null)
  return values.length > 0 ? Math.max(...values) / 1000 : null
}

/** Folders of the hwmon devices called `name`: their numbers change from boot to boot. */
function hwmon(root: string, name: string): string[] {
  const folder = join(root, 'sys/class/hwmon')
  return entries(folder)
    .map((device) => join(folder, device))
    .filter((device) => word(join(device, 'name')) === name)
}

const zones = (folder: string) => entries(folder).filter((name) => name.startsWith('thermal_zone'))

const word = (path: string) => readText(path)?.trim() || null

function numberIn(path: string): number | null {
  const text = word(path)
  return text !== null && /^-?\d+$/.test(text) ? Number(text) : null
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (e) {
    if (errnoOf(e) === 'ENOENT' || errnoOf(e) === 'ENOTDIR' || errnoOf(e) === 'EACCES') return []
    throw e
  }
}
