import { randomBytes } from 'node:crypto'
import type { Facts, Report } from '@espalier/shared/messages/index.js'
import type { Candidate } from './activation.js'
import type { Benchmark } from './measure/benchmark.js'

/** What a benchmark said, as the service stores it; ids made later sort later. `now` in ms since 1970. */
export function reportOf(
  { variant, held }: Candidate,
  measured: Benchmark,
  device: string,
  { board, powerMode }: Facts,
  now: number,
): Report {
  const at = Math.floor(now)
  return {
    id: `${at.toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`,
    device,
    ...held,
    board,
    at,
    runs: measured.runs,
    p50Ms: measured.p50Ms,
    p90Ms: measured.p90Ms,
    p95Ms: measured.p95Ms,
    p99Ms: measured.p99Ms,
    measuredRamBytes: measured.measuredRamBytes,
    runtimeBaseBytes: measured.runtimeBaseBytes,
    processBytes: measured.processBytes,
    coldLoadMs: measured.coldLoadMs,
    threads: measured.setup.threads ?? 1,
    providerRequested: measured.setup.provider ?? 'cpu',
    provider: measured.provider ?? measured.setup.provider ?? 'cpu',
    runtime: measured.runtime,
    runtimeVersion: measured.runtimeVersion,
    throttled: measured.throttled,
    temperatureC: measured.temperatureC,
    frequencyMhz: measured.frequencyMhz,
    powerW: measured.powerW,
    governor: measured.governor,
    powerMode,
    ...(measured.incumbent && { incumbent: measured.incumbent }),
    top1: variant.top1?.value ?? null,
  }
}

/** What the catalogue says for measuring: the shape of each input of which it gives all dimensions, and what is answered. */
export function knownOf({ inputs, golden }: Pick<Candidate['variant'], 'inputs' | 'golden'>) {
  const fixed = inputs.filter(({ shape }) => shape.every((d, i) => i === 0 || typeof d === 'number'))
  const shapes = Object.fromEntries(
    fixed.map(({ name, shape }) => [name, shape.map((d) => (typeof d === 'number' ? d : 1))]),
  )
  return { shapes, golden }
}
