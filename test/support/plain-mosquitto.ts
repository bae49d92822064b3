import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export interface PlainMosquitto {
  readonly url: string
  readonly peakBytes: () => number
  readonly end: () => void
}

/** Mosquitto as it comes, which lets everybody do everything, for measurements. */
export async function startMosquitto(folder: string): Promise<PlainMosquitto> {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const address = free.address()
  const port = typeof address === 'object' && address ? address.port : 0
  await new Promise((done) => free.close(done))
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n`)
  const child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await new Promise((answer) => {
      socket.once('connect', () => answer(true)).once('error', () => answer(false))
    })
    socket.destroy()
    if (isUp) break
    await wait(20)
  }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    peakBytes: () =>
      Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
    end: () => void child.kill(),
  }
}
