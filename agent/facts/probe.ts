/**
 * Run as a child: prints, as one line of JSON, what needs large libraries to be known, so that they are never
 * loaded into the agent itself. What fails to load is reported by its message.
 */
import { asEspalierError } from '@espalier/shared'

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

async function providers(): Promise<Pick<Probe, 'executionProviders' | 'runtimeError'>> {
  try {
    const { listSupportedBackends } = await import('onnxruntime-node')
    return { executionProviders: listSupportedBackends().map(({ name }) => name), runtimeError: null }
  } catch (e) {
    return { executionProviders: [], runtimeError: asEspalierError(e).message }
  }
}

process.stdout.write(`${JSON.stringify(await probe())}\n`)
