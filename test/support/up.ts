import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { resolve } from 'node:path'

/** `espalier up` as a process of its own, on ports that stay the same when it starts again. */
export class ServiceProcess {
  url = ''
  mqttUrl = ''
  #child: ChildProcess | undefined
  #ports: readonly number[] = []

  constructor(readonly data: string) {}

  async start(): Promise<void> {
    if (!this.#ports.length) this.#ports = [await freePort(), await freePort()]
    const [port, mqttPort] = this.#ports.map(String)
    const child = spawn(
      process.execPath,
      [
        resolve('server/dist/cli/main.js'),
        ...['up', '--data', this.data, '--port', port, '--mqtt-port', mqttPort],
        ...['--log-level', 'error', '--json'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    this.#child = child
    let text = ''
    for await (const chunk of child.stdout) {
      text += chunk
      if (text.includes('\n')) break
    }
    Object.assign(this, JSON.parse(text))
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((done) => server.close(done))
  return typeof address === 'object' && address ? address.port : 0
}
