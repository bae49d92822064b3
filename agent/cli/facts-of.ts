import { type Command, MeasuringProcess, type Ready } from '@espalier/shared/measure/index.js'
import type { Facts } from '@espalier/shared/messages/index.js'
import { machineFacts, runProbe } from '../facts/index.js'
import type { Program } from './run.js'

/** What the operator says of this device. */
interface Given {
  readonly memoryBytes: number | null
  readonly p95LimitMs: number | null
  readonly labels: Record<string, string>
}

/** This machine, and the runtime of the measuring child. */
export async function factsOf(
  root: string,
  program: Program,
  child: URL | Command,
  given: Given,
): Promise<Facts> {
  const [probe, runtime] = await Promise.all([runProbe(program.probe), readyOf(child)])
  const machine = machineFacts(root, probe)
  return {
    ...machine,
    memoryBudgetBytes:
      given.memoryBytes ?? budgetOf(machine.memoryLimitBytes ?? machine.memoryBytes, runtime),
    p95LimitMs: given.p95LimitMs,
    executionProviders:
      runtime.providers ?? (child === program.measuring.node ? machine.executionProviders : []),
    runtime: runtime.runtime,
    runtimeVersion: runtime.runtimeVersion,
    agentVersion: program.version,
    labels: given.labels,
  }
}

async function readyOf(child: URL | Command): Promise<Ready> {
  const measuring = await MeasuringProcess.start({ child })
  measuring.close()
  return measuring.ready
}

/** What a model may take where nobody says: the limit less the runtime, this agent, and a tenth. */
function budgetOf(limitBytes: number, { runtimeBaseBytes }: Ready): number {
  return Math.max(0, Math.floor(limitBytes * 0.9 - runtimeBaseBytes - process.memoryUsage.rss()))
}
