/**
 * Run as a child: prints, as one line of JSON, what needs large libraries to be known, so that they are never
 * loaded into the agent itself. What fails to load is reported by its message.
 */
import { asEspalierError } from '@espalier/shared'
import { baseNetwork } from '@espalier/shared/measure/base-network.js'
import type { InferenceSessionFactory } from 'onnxruntime-node'

export interface Probe {
  readonly executionProviders: readonly string[]
  /** Null where the runtime loads. */
  readonly runtimeError: string | null
  readonly cpu: string
  readonly os: string
  readonly board: string
}

async function probe(): Promise<Probe> {
  const { default: si } = await import('systeminformation')
  const [cpu, os, system] = await Promise.all([si.cpu(), si.osInfo(), si.system()])
  return {
    ...(await providers()),
    cpu: `${cpu.manufacturer} ${cpu.brand}`.trim(),
    os: `${os.distro} ${os.release}`.trim(),
    board: `${system.manufacturer} ${system.model}`.trim(),
  }
}

/** The execution providers that open a session here: the runtime also lists those it could only be built with. */
async function providers(): Promise<Pick<Probe, 'executionProviders' | 'runtimeError'>> {
  try {
    const { InferenceSession, listSupportedBackends } = await import('onnxruntime-node')
    const found: string[] = []
    for (const { name } of listSupportedBackends()) {
      if (await opens(InferenceSession, name)) found.push(name)
    }
    return { executionProviders: found, runtimeError: null }
  } catch (e) {
    return { executionProviders: [], runtimeError: asEspalierError(e).message }
  }
}

async function opens(sessions: InferenceSessionFactory, provider: string): Promise<boolean> {
  try {
    const session = await sessions.create(baseNetwork(), {
      executionProviders: [provider],
      logSeverityLevel: 4,
    })
    await session.release()
    return true
  } catch {
    return false // whatever it lacks, here it cannot be used
  }
}

process.stdout.write(`${JSON.stringify(await probe())}\n`)
