import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import { transformer25M } from '../zoo/bert.js'
import { resnet50 } from '../zoo/resnet.js'

export const about =
  'seconds (wall, CPU) and resident memory that it takes a fresh process to read and analyse ResNet-50 and a 25-million-parameter transformer'

const networks: Readonly<Record<string, () => Graph>> = {
  'resnet-50': () => resnet50(),
  'transformer-25m': transformer25M,
}

const execute = promisify(execFile)

export default async function analysis(options: Readonly<Record<string, string>>): Promise<object> {
  await mkdir('.build/bench', { recursive: true })
  const rows = []
  for (const [name, make] of Object.entries(networks)) {
    if (options.only && options.only !== name) continue
    const file = `.build/bench/${name}.onnx`
    await writeModelFile(make(), file)
    const { stdout } = await execute(process.execPath, [fileURLToPath(import.meta.url), file])
    rows.push({ network: name, ...JSON.parse(stdout) })
  }
  return { cpu: cpus()[0]?.model, node: process.version, rows }
}

/** What a fresh process does: this file run as a program. */
async function analyse(file: string): Promise<void> {
  const started = performance.now()
  const before = process.cpuUsage()
  const { coupling } = await prunable(await readModelFile(file))
  const { user, system } = process.cpuUsage(before)
  const result = {
    groups: coupling.groups.length,
    units: coupling.groups.reduce((sum, g) => sum + g.units.length, 0),
    wallSeconds: (performance.now() - started) / 1000,
    cpuSeconds: (user + system) / 1e6,
    residentMB: (process.resourceUsage().maxRSS * 1024) / 1e6,
  }
  process.stdout.write(JSON.stringify(result))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await analyse(process.argv[2])
