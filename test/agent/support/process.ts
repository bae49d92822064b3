import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Credential } from '@espalier/agent/credential.js'
import { patience } from '../../support/patience.js'

const program = resolve('agent/dist/main.js')
/** The Node.js of the agents: a board's, emulated, where ESPALIER_TEST_AGENT_NODE names it. */
export const agentNode = process.env.ESPALIER_TEST_AGENT_NODE ?? process.execPath

/** Patience for tests: everything soon. */
export const soon = {
  reconnectMs: [20, 100],
  retryMs: [200, 1000],
  blockPatienceMs: 150,
  reportPatienceMs: 300,
  keepaliveSeconds: 2 * patience,
}

/** The agent as a process of its own, with a state directory that outlives it. */
export class AgentProcess {
  readonly folder = mkdtempSync(join(tmpdir(), 'espalier-agent-'))
  readonly state: string
  readonly credentialFile: string
  log = ''
  #child: ChildProcess | null = null

  constructor(credential: Credential, state?: string) {
    this.state = state ?? join(this.folder, 'state')
    this.credentialFile = join(this.folder, 'credential.json')
    writeFileSync(this.credentialFile, JSON.stringify(credential))
    chmodSync(this.credentialFile, 0o600)
  }

  /** @param node options of Node.js itself */
  start(
    args: readonly string[] = ['--memory', '100MB'],
    timings: object = soon,
    env: object = {},
    node: readonly string[] = [],
  ): void {
    const fixed = [
      'run',
      '--credential',
      this.credentialFile,
      '--state',
      this.state,
      '--every',
      '0',
      '--memory-runs',
      '1',
      '--benchmark',
      'brief',
      '--threads',
      '1',
    ]
    const patience = [
      '--timings',
      JSON.stringify(timings),
      '--host-lock',
      join(tmpdir(), `espalier-test-${process.pid}.lock`),
    ]
    const child = spawn(agentNode, [...node, program, ...fixed, ...patience, ...args], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...env },
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk
      if (process.env.AGENT_LOG) process.stderr.write(chunk)
    })
    this.#child = child
  }

  /** The ids of the reports that this agent says it made. */
  reportIds(): string[] {
    return [...this.log.matchAll(/ report (\S+): /g)].map(([, id]) => id)
  }

  /** How many reports this agent says it could not keep for want of room. */
  get reportsWithoutRoom(): number {
    return [...this.log.matchAll(/ report \S+ is dropped: /g)].length
  }

  /** Whether the process ended, and nobody asked for it. */
  get hasEnded(): boolean {
    return this.#child !== null && (this.#child.exitCode !== null || this.#child.signalCode !== null)
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Ends the process by a signal; its exit status, or the signal that ended it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const child = this.#child
    if (!child) return 'not running'
    this.#child = null
    if (child.exitCode !== null) return child.exitCode
    if (child.signalCode !== null) return child.signalCode
    const ended = once(child, 'exit')
    child.kill(signal)
    const [status, by] = await ended
    return status ?? by
  }

  /** Waits for the process to end by itself. */
  async ended(): Promise<number | string> {
    const child = this.#child!
    if (child.exitCode !== null) return child.exitCode
    const [status, by] = await once(child, 'exit')
    return status ?? by
  }

  status(): Promise<{ active: { variant: string } | null; outbox: { waiting: number; dropped: number } }> {
    return runAgent('status', '--state', this.state, '--json').then(({ stdout }) => JSON.parse(stdout))
  }
}

/** Runs the agent's program to its end. */
export async function runAgent(
  ...args: string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  try {
    return { status: 0, ...(await promisify(execFile)(agentNode, [program, ...args])) }
  } catch (e) {
    const { code, stdout, stderr } = e as { code: number; stdout: string; stderr: string }
    return { status: code, stdout, stderr }
  }
}
