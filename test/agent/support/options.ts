import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@espalier/agent/clock.js'
import type { Credential } from '@espalier/agent/credential.js'
import type { AgentOptions } from '@espalier/agent/options.js'
import { profiles } from '@espalier/shared/measure/index.js'
import type { Facts } from '@espalier/shared/messages/index.js'
import { soon } from './process.js'

const facts: Facts = {
  board: 'test',
  soc: null,
  arch: 'x64',
  cpu: 'test',
  cores: 1,
  memoryBytes: 2 ** 30,
  memoryLimitBytes: null,
  memoryBudgetBytes: 100_000_000,
  p95LimitMs: null,
  kernel: 'test',
  os: 'test',
  powerMode: null,
  executionProviders: ['cpu'],
  runtime: 'onnxruntime-node',
  runtimeVersion: '1',
  agentVersion: '0.1.0',
  labels: {},
}

/** Options of an agent in this process: impatient, and content with few queries. */
export const optionsOf = (stateDir: string, credential: Credential): AgentOptions => ({
  credential,
  stateDir,
  facts,
  clock: systemClock,
  benchmark: {
    child: new URL(import.meta.resolve('@espalier/agent/measure/child.js')),
    profile: { ...profiles.brief, queries: 8 },
    setups: [{ threads: 1, provider: 'cpu' }],
    processes: 1,
    hostLock: join(tmpdir(), `espalier-test-${process.pid}.lock`),
    root: '/',
    clock: systemClock,
    log: () => {},
  },
  timings: { ...soon, reconnectMs: [20, 100], retryMs: [200, 1000], everyMs: 0 },
  log: () => {},
})
