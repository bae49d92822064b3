import {
  availableBytes,
  governors,
  heat,
  machineFacts,
  memoryFacts,
  physicalCores,
} from '@espalier/agent/facts/index.js'
import t from 'tap'
import { orinNano, pi4, pi5, plainPc, tree } from '../support/tree.js'

const facts = (files: Record<string, string>) => machineFacts(tree(files), null)

t.test('a Raspberry Pi 4 in a cgroup of 512 MiB', async (t) => {
  const root = tree(pi4)
  t.match(machineFacts(root, null), {
    board: 'Raspberry Pi 4 Model B Rev 1.4',
    soc: 'brcm,bcm2711',
    cores: 4,
    memoryBytes: 3885396 * 1024,
    memoryLimitBytes: 512 * 2 ** 20,
    kernel: '6.6.31+rpt-rpi-v8',
    os: 'Debian GNU/Linux 12 (bookworm)',
    governor: 'ondemand',
  })
  t.same(heat(root), {
    temperatureC: 61.34,
    frequencyMhz: 1500,
    powerW: null,
    throttling: true,
    throttleEvents: 5,
  })
})

t.test('a Raspberry Pi 5, where only under-voltage is told', async (t) => {
  const root = tree(pi5)
  t.match(facts(pi5), {
    board: 'Raspberry Pi 5 Model B Rev 1.0',
    soc: 'brcm,bcm2712',
    memoryLimitBytes: null,
  })
  t.same(heat(root), {
    temperatureC: 48,
    frequencyMhz: 2400,
    powerW: null,
    throttling: false,
    throttleEvents: 0,
  })
  t.equal(heat(tree({ ...pi5, 'sys/class/hwmon/hwmon2/in0_lcrit_alarm': '1\n' })).throttling, true)
})

t.test('a Jetson Orin Nano: release, power mode, over-current events, the GPU', async (t) => {
  const root = tree(orinNano)
  t.match(machineFacts(root, null), {
    soc: 'nvidia,tegra234',
    cores: 5,
    powerMode: '1',
    jetsonRelease: 'R36 (release), REVISION: 3.0, GCID: 36923193, BOARD: generic, EABI: aarch64',
  })
  t.same(governors(root), { governor: 'schedutil', gpuGovernor: 'nvhost_podgov' })
  t.equal(heat(root).throttleEvents, 7)
  t.equal(heat(root).temperatureC, 55.218, 'the hottest zone')
  t.equal(heat(root).powerW, 5.307072, 'of the whole module, not of one rail')
})

t.test('a plain PC under a version 1 cgroup', async (t) => {
  t.match(facts(plainPc), {
    board: 'LENOVO 20L5CTO1WW',
    soc: 'Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz',
    cores: 8,
    memoryLimitBytes: 2 ** 30,
  })
  t.equal(heat(tree(plainPc)).throttling, null, 'unknown is not false')
})

t.test('the smallest limit of all groups above counts', async (t) => {
  const group = 'sys/fs/cgroup/a/b/memory.max'
  const files = { 'proc/meminfo': 'MemTotal: 1000000 kB\n', 'proc/self/cgroup': '0::/a/b\n' }
  t.equal(
    memoryFacts(tree({ ...files, [group]: '9000', 'sys/fs/cgroup/a/memory.max': '8000' })).limitBytes,
    8000,
  )
  t.equal(memoryFacts(tree({ ...files, [group]: 'max\n' })).limitBytes, 1_024_000_000)
})

t.test(
  'memory that is left is the least of the machine and of the groups above us, whose idle pages count',
  async (t) => {
    t.equal(availableBytes(tree(pi4)), 536870912 - 268435456 + 104857600)
    t.equal(availableBytes(tree(plainPc)), 1073741824 - 1000000000)
    t.equal(availableBytes(tree({ ...pi5, 'proc/meminfo': 'MemAvailable: 1000 kB\n' })), 1_024_000)
    t.equal(availableBytes(tree(pi5)), 0, 'a kernel that does not say')
  },
)

t.test('threads of one core count once', async (t) => {
  const core = (cpu: number, core: number, socket = 0) => ({
    [`sys/devices/system/cpu/cpu${cpu}/topology/core_id`]: `${core}\n`,
    [`sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`]: `${socket}\n`,
  })
  const online = { 'sys/devices/system/cpu/online': '0-3\n' }
  t.equal(physicalCores(tree({ ...online, ...core(0, 0), ...core(1, 1), ...core(2, 0), ...core(3, 1) })), 2)
  t.equal(
    physicalCores(tree({ ...online, ...core(0, 0), ...core(1, 1), ...core(2, 0, 1), ...core(3, 1, 1) })),
    4,
  )
  t.equal(physicalCores(tree(orinNano)), 5, 'where the kernel does not tell, each is one')
  t.equal(physicalCores(tree({})), 1)
})

t.test('a machine that tells nothing is described without a failure', async (t) => {
  t.match(facts({}), { board: 'unknown', soc: 'unknown', cores: 1, kernel: 'unknown', powerMode: null })
  t.same(heat(tree({})), {
    temperatureC: null,
    frequencyMhz: null,
    powerW: null,
    throttling: null,
    throttleEvents: null,
  })
})
