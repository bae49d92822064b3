import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Credential } from '@espalier/agent/credential.js'
import { readReportLog } from '@espalier/agent/store/report-log.js'
import type { Reported } from '@espalier/shared/messages/index.js'
import { AgentProcess, soon } from '../../agent/support/process.js'
import { fillUp } from '../small-disk.js'
import type { Wire } from './wire.js'

const clock = resolve('test/support/faults/clock.mjs')

/** An agent as a process behind a bad wire, with a disk of its own; started again when it ends by itself, as systemd does. */
export class Device {
  readonly agent: AgentProcess
  /** The last lines of agents that ended by themselves, though not for want of room. */
  readonly crashes: string[] = []
  readonly #folder: string
  #isMeantToRun = false

  /** @param disk a mounted disk that fills up, or any folder */
  constructor(
    readonly id: string,
    credential: Credential,
    readonly wire: Wire,
    readonly disk: string,
  ) {
    this.agent = new AgentProcess(credential, join(disk, 'state'))
    this.#folder = this.agent.folder
  }

  start(): void {
    this.#isMeantToRun = true
    const args = ['--memory', '100MB', '--every', '800ms', '--host-lock', join(this.#folder, 'host.lock')]
    this.agent.start(args, soon, { NODE_OPTIONS: `--import=${clock}`, CLOCK_OFFSET: this.#offset })
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#isMeantToRun = false
    await this.agent.end(signal)
  }

  revive(): void {
    if (!this.#isMeantToRun || !this.agent.hasEnded) return
    const last = this.agent.log.trimEnd().split('\n').at(-1) ?? ''
    if (!last.includes('DISK_FULL')) this.crashes.push(last)
    this.start()
  }

  /** Sets the agent's clock off by so many ms. */
  setClock(offsetMs: number): void {
    writeFileSync(this.#offset, String(Math.round(offsetMs)))
  }

  /** What the agent said last, on its own disk; null before its first word. */
  get said(): Reported | null {
    const path = join(this.agent.state, 'reported.json')
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null
  }

  fillDisk(): void {
    fillUp(join(this.disk, 'filler'))
  }

  emptyDisk(): void {
    rmSync(join(this.disk, 'filler'), { force: true })
  }

  /** Cuts a file of a variant to a part of itself, as a file system may after a crash. */
  truncateOne(random: () => number): void {
    const folder = join(this.agent.state, 'artifacts')
    if (!existsSync(folder)) return
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
    const path = files[Math.floor(random() * files.length)]
    if (path) truncateSync(path, Math.floor(statSync(path).size * random()))
  }

  /** Of the reports that the agent says it made, those that are neither stored, nor waiting here, nor counted as dropped. */
  lostReports(stored: ReadonlySet<string>): number {
    const { waiting, dropped } = readReportLog(join(this.agent.state, 'outbox', 'reports.log'))
    const here = new Set(waiting.map(({ id }) => id))
    const missing = this.agent.reportIds().filter((id) => !stored.has(id) && !here.has(id)).length
    return Math.max(0, missing - (dropped - this.agent.reportsWithoutRoom))
  }

  get #offset(): string {
    return join(this.#folder, 'offset')
  }
}
