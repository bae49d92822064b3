import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** How long a child may take to end after SIGTERM, in ms, before SIGKILL. */
const graceMs = 10_000

/**
 * Child processes with a log file each, in the order in which they were started. Whatever way the program ends, `stop`
 * ends them, the newest first.
 */
export class Processes {
  readonly #children: { name: string; child: ChildProcess; log: string }[] = []
  #stopping = false

  /** @param logs folder of the log files, `<name>.log` */
  constructor(
    readonly logs: string,
    readonly onUnexpectedEnd: (error: Error) => void,
  ) {}

  /** Starts `node script args…`; its output goes to its log file. */
  start(name: string, script: string, args: readonly string[]): void {
    const log = join(this.logs, `${name}.log`)
    mkdirSync(dirname(log), { recursive: true })
    const out = openSync(log, 'w')
    // A group of its own: Ctrl-C must reach the service after its agents, which `stop` sees to.
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', out, out], detached: true })
    closeSync(out)
    this.#children.push({ name, child, log })
    child.once('exit', (status, signal) => {
      if (this.#stopping) return
      const how = signal ?? `status ${status}`
      this.onUnexpectedEnd(new Error(`${name} ended with ${how}; the end of ${log}:\n${tail(log)}`))
    })
  }

  /** Ends every child, the newest first, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const { child } of this.#children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await ended
      clearTimeout(timer)
    }
  }
}

/** The last lines of a log file. */
const tail = (file: string, lines = 8) =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
