import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { testModel } from '../agent/support/models.js'
import { AgentProcess } from '../agent/support/process.js'
import { TestService } from '../agent/support/service.js'

export const about =
  'resident memory of the idle agent, --minutes (10) after a fetch of --mb (16) and a benchmark'

const mebibytes = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10

/** Memory of a process by the kernel's books: VmRSS, its anonymous part, and the peak so far; bytes. */
function memoryOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  return { rss: field('VmRSS'), anonymous: field('RssAnon'), peak: field('VmHWM') }
}

/**
 * The agent as a process of its own, its service and broker beside it: it fetches a model, measures it, activates
 * it, and then rests. Sizes in MiB.
 */
export default async function agentMemory(options: Readonly<Record<string, string>>) {
  const minutes = Number(options.minutes ?? 10)
  const megabytes = Number(options.mb ?? 16)
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  try {
    const width = 1024
    const layers = Math.max(1, Math.round((megabytes * 1e6) / (width * width * 4)))
    const model = testModel('bench', width, { blockBytes: 32 * 1024 }, layers)
    agent.start(['--memory', '1GB'], {})
    await service.until((r) => r.state === 'idle')
    await sleep(1000)
    const born = memoryOf(agent.pid)
    await service.offer([model])
    await service.desire()
    await service.until((r) => r.state === 'active', 120_000)
    const after = memoryOf(agent.pid)
    const end = Date.now() + minutes * 60_000
    const seen: number[] = []
    while (Date.now() < end) {
      await sleep(Math.min(15_000, Math.max(0, end - Date.now())))
      seen.push(memoryOf(agent.pid).rss)
    }
    const rest = memoryOf(agent.pid)
    return {
      minutes,
      fetchedMiB: mebibytes(model.bytes.length),
      bornMiB: mebibytes(born.rss),
      afterFetchAndBenchmarkMiB: mebibytes(after.rss),
      peakMiB: mebibytes(rest.peak),
      restingMiB: mebibytes(rest.rss),
      restingAnonymousMiB: mebibytes(rest.anonymous),
      mostWhileRestingMiB: mebibytes(Math.max(...seen, rest.rss)),
    }
  } finally {
    await agent.end()
    await service.down()
  }
}
