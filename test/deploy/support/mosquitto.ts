import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, connect as open } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'

/** Why a test that needs Mosquitto cannot run here, if it cannot. */
export const withoutMosquitto = spawnSync('mosquitto', ['-h']).error && 'mosquitto is not installed'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Mosquitto with the configuration of deploy/mosquitto, save for its paths, its port and its user. */
export class Mosquitto {
  readonly url: string
  #child: ChildProcess | undefined

  /** @param folder where the passwords and credentials are */
  private constructor(
    readonly folder: string,
    readonly port: number,
  ) {
    this.url = `mqtt://127.0.0.1:${port}`
  }

  static async make(users: readonly string[]): Promise<Mosquitto> {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-mosquitto-'))
    const port = await freePort()
    execFileSync(process.execPath, ['deploy/compose/secrets.mjs', folder, ...users])
    const passwords = join(folder, 'mosquitto/passwords')
    if (userInfo().uid === 0) await chown(passwords, 0, 0) // the broker below keeps this user
    const config = (await readFile('deploy/mosquitto/mosquitto.conf', 'utf8'))
      .replace('listener 1883', `listener ${port} 127.0.0.1\nuser ${userInfo().username}`)
      .replace('/secrets/mosquitto/passwords', passwords)
      .replace('/mosquitto/config/acl', resolve('deploy/mosquitto/acl'))
      .replace('/mosquitto/data/', `${folder}/`)
    await writeFile(join(folder, 'mosquitto.conf'), config)
    return new Mosquitto(folder, port)
  }

  /** Starts it, on the same port every time, and waits until it listens. */
  async start(): Promise<void> {
    const child = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], { stdio: 'ignore' })
    this.#child = child
    while (!(await listens(this.port))) {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`)
      await wait(20)
    }
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    child?.kill()
    if (child?.exitCode === null) await once(child, 'exit')
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.folder, { recursive: true })
  }

  password = (user: string): string => readFileSync(join(this.folder, `${user}.password`), 'utf8')
}

/** One that runs until the test ends. */
export async function startMosquitto(t: Test, users: readonly string[]): Promise<Mosquitto> {
  const mosquitto = await Mosquitto.make(users)
  t.teardown(() => mosquitto.remove())
  await mosquitto.start()
  return mosquitto
}

export const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = open(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
