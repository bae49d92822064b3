import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder of files, made for a test and left to the system's cleaning. */
export function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'espalier-tree-'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const cpus = (count: number, governor: string, khz: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      [`sys/devices/system/cpu/cpu${i}/cpufreq/scaling_governor`, `${governor}\n`],
      [`sys/devices/system/cpu/cpu${i}/cpufreq/scaling_cur_freq`, `${khz}\n`],
    ]).flat(),
  )

/** The files of a Raspberry Pi 4 that the agent reads, as its kernel 6.6 shows them. */
export const pi4 = {
  'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
  'proc/device-tree/compatible': 'raspberrypi,4-model-b\0brcm,bcm2711\0',
  'proc/meminfo': 'MemTotal:        3885396 kB\nMemFree:          123456 kB\nMemAvailable:    2885396 kB\n',
  'proc/self/cgroup': '0::/system.slice/espalier-agent.service\n',
  'proc/sys/kernel/osrelease': '6.6.31+rpt-rpi-v8\n',
  'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
  'sys/fs/cgroup/system.slice/espalier-agent.service/memory.max': '536870912\n',
  'sys/fs/cgroup/system.slice/espalier-agent.service/memory.current': '268435456\n',
  'sys/fs/cgroup/system.slice/espalier-agent.service/memory.stat': 'anon 4096\ninactive_file 104857600\n',
  'sys/fs/cgroup/system.slice/memory.max': 'max\n',
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '61340\n',
  'sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
  'sys/devices/system/cpu/online': '0-3\n',
  ...cpus(4, 'ondemand', 1_500_000),
}

/** A Raspberry Pi 5, whose kernel shows under-voltage by hwmon alone. */
export const pi5 = {
  'proc/device-tree/model': 'Raspberry Pi 5 Model B Rev 1.0\0',
  'proc/device-tree/compatible': 'raspberrypi,5-model-b\0brcm,bcm2712\0',
  'proc/meminfo': 'MemTotal:        8256048 kB\n',
  'proc/self/cgroup': '0::/user.slice\n',
  'proc/sys/kernel/osrelease': '6.12.25+rpt-rpi-2712\n',
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '48000\n',
  'sys/class/hwmon/hwmon0/name': 'cpu_thermal\n',
  'sys/class/hwmon/hwmon2/name': 'rpi_volt\n',
  'sys/class/hwmon/hwmon2/in0_lcrit_alarm': '0\n',
  'sys/devices/system/cpu/online': '0-3\n',
  ...cpus(4, 'performance', 2_400_000),
}

/** A Jetson Orin Nano on JetPack 6. */
export const orinNano = {
  'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit\0',
  'proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0',
  'proc/meminfo': 'MemTotal:        7802908 kB\n',
  'proc/self/cgroup': '0::/\n',
  'proc/sys/kernel/osrelease': '5.15.136-tegra\n',
  'etc/nv_tegra_release':
    '# R36 (release), REVISION: 3.0, GCID: 36923193, BOARD: generic, EABI: aarch64\n# more\n',
  'var/lib/nvpmodel/status': 'pmode:0001',
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '51000\n',
  'sys/class/thermal/thermal_zone5/type': 'tj-thermal\n',
  'sys/class/thermal/thermal_zone5/temp': '55218\n',
  'sys/class/hwmon/hwmon1/name': 'ina3221\n',
  'sys/class/hwmon/hwmon1/in1_label': 'VDD_IN\n',
  'sys/class/hwmon/hwmon1/in1_input': '5064\n',
  'sys/class/hwmon/hwmon1/curr1_input': '1048\n',
  'sys/class/hwmon/hwmon1/in2_label': 'VDD_CPU_GPU_CV\n',
  'sys/class/hwmon/hwmon1/in2_input': '5056\n',
  'sys/class/hwmon/hwmon1/curr2_input': '144\n',
  'sys/class/hwmon/hwmon3/name': 'soctherm_oc\n',
  'sys/class/hwmon/hwmon3/oc1_event_cnt': '2\n',
  'sys/class/hwmon/hwmon3/oc3_event_cnt': '5\n',
  'sys/class/devfreq/17000000.gpu/governor': 'nvhost_podgov\n',
  'sys/devices/system/cpu/online': '0-3,5\n',
  ...cpus(6, 'schedutil', 1_510_400),
}

/** A plain PC with a version 1 memory cgroup above us. */
export const plainPc = {
  'proc/cpuinfo': 'processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\n',
  'proc/meminfo': 'MemTotal:       16266548 kB\nMemAvailable:    8000000 kB\n',
  'proc/self/cgroup': '12:cpu,cpuacct:/docker/abc\n11:memory:/docker/abc\n0::/docker/abc\n',
  'proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
  'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '1073741824\n',
  'sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes': '1000000000\n',
  'sys/fs/cgroup/memory/docker/abc/memory.stat': 'total_inactive_file 0\n',
  'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  'sys/class/dmi/id/sys_vendor': 'LENOVO\n',
  'sys/class/dmi/id/product_name': '20L5CTO1WW\n',
  'sys/devices/system/cpu/online': '0-7\n',
  'sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count': '17\n',
}
