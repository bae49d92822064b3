import { execFile } from 'node:child_process'

export interface SystemdOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: (line: string) => void
  /** The program that speaks to systemd; Node.js has no datagram sockets of Unix. */
  readonly program?: string
}

/**
 * Tells systemd that the agent is ready, alive (`WatchdogSec`) and about to stop, where systemd asks for it: by
 * `systemd-notify`, which comes with it (sd_notify(3), sd_watchdog_enabled(3)). The unit needs `NotifyAccess=all`, since it is a child that speaks.
 * A loop that is stuck says nothing any more, and the agent is started again.
 */
export class Systemd {
  readonly #options: SystemdOptions
  #watchdog: NodeJS.Timeout | null = null
  #hasFailed = false

  constructor(options: SystemdOptions) {
    this.#options = options
  }

  ready(): void {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = this.#options.env
    if (!NOTIFY_SOCKET) return
    this.#tell('READY=1')
    const isForUs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid
    const everyMs = Number(WATCHDOG_USEC) / 2000
    if (isForUs && everyMs > 0) this.#watchdog = setInterval(() => this.#tell('WATCHDOG=1'), everyMs)
  }

  stopping(): void {
    if (this.#watchdog) clearInterval(this.#watchdog)
    if (this.#options.env.NOTIFY_SOCKET) this.#tell('STOPPING=1')
  }

  #tell(what: string): void {
    const { program = 'systemd-notify', log } = this.#options
    execFile(program, [what], { timeout: 10_000 }, (error) => {
      if (error && !this.#hasFailed) log(`systemd cannot be told ${what}: ${error.message.trim()}`)
      this.#hasFailed = error !== null
    })
  }
}
