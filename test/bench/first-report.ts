import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Credential } from '@espalier/agent/credential.js'
import { readModelFile, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { described } from '../agent/support/models.js'
import { AgentProcess } from '../agent/support/process.js'
import { fill, ServiceProcess } from '../agent/support/service-process.js'

export const about =
  'seconds from the start of an agent to its first stored report, and the memory of the service'

/** Resident bytes of a process, now and at its peak. */
function memoryOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  return { residentBytes: field('VmRSS'), peakBytes: field('VmHWM') }
}

/** The service and one agent, processes of their own; the sample dense and pruned to a half and a quarter of its units. */
export default async function firstReport(): Promise<object> {
  const data = mkdtempSync(join(tmpdir(), 'espalier-bench-'))
  const dense = await readModelFile('deploy/sample/digits.onnx')
  const half = await prune(dense, { keep: 0.5 })
  const quarter = await prune(dense, { keep: 0.25 })
  const files = Object.entries({ dense, half: half.graph, quarter: quarter.graph })
  const models = files.map(([name, graph]) => described(name, Buffer.from(writeModel(graph))))
  await fill(data, models[0].bytes, models)
  const service = new ServiceProcess(data)
  let agent: AgentProcess | undefined
  try {
    await service.start()
    await sleep(3000)
    const atRest = memoryOf(service.pid)
    const credential: Credential = await service.device('first')
    agent = new AgentProcess(credential)
    const began = performance.now()
    const since = () => (performance.now() - began) / 1000
    agent.start(['--memory', '100MB', '--memory-runs', '5'], {}) // as an agent does unless told otherwise
    let connectedSeconds: number | null = null
    while ((await service.reportIds()).length === 0) {
      if (connectedSeconds === null && agent.log.includes('connected to')) connectedSeconds = since()
      if (since() > 120) throw new Error(`no report within two minutes: ${agent.log}`)
      await sleep(20)
    }
    const reportedSeconds = since()
    return {
      ...{ connectedSeconds, reportedSeconds, atRest, afterReport: memoryOf(service.pid) },
      variants: models.map(({ variant }) => ({ name: variant.name, fileBytes: variant.bytes })),
    }
  } finally {
    await agent?.end()
    await service.end()
    rmSync(data, { recursive: true, force: true })
  }
}
