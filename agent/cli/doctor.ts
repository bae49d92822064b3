import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { asEspalierError, EspalierError, formatBytes } from '@espalier/shared'
import { type Command, MeasuringProcess } from '@espalier/shared/measure/index.js'
import { readCredential } from '../credential.js'
import { machineFacts, runProbe } from '../facts/index.js'
import { parseBroker } from '../net/socket.js'
import { writeAtomic } from '../store/files.js'
import type { Program } from './run.js'
import { defaultRuntime, parse, parseRuntime } from './usage.js'

interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly says: string
}

const leastFreeBytes = 64 * 2 ** 20

/** `espalier-agent doctor`: whether this machine can run the agent. True if nothing is wrong. */
export async function doctor(args: string[], program: Program): Promise<boolean> {
  const { values } = parse({
    args,
    options: {
      credential: { type: 'string' },
      state: { type: 'string' },
      runtime: { type: 'string', default: defaultRuntime },
      'fact-root': { type: 'string', default: '/' },
      json: { type: 'boolean', default: false },
    },
  })
  const { credential, state } = values
  const child = parseRuntime(values.runtime, program)
  const checks: [name: string, check: () => string | Promise<string>][] = [
    ['machine', () => machine(values['fact-root'], program)],
    ['runtime', () => runtime(child)],
    ...(state ? [['disk', () => disk(state)] satisfies [string, () => string]] : []),
    ...(credential ? [['broker', () => broker(credential)] satisfies [string, () => Promise<string>]] : []),
  ]
  const findings: Finding[] = []
  for (const [check, run] of checks) {
    try {
      findings.push({ check, ok: true, says: await run() })
    } catch (e) {
      findings.push({ check, ok: false, says: asEspalierError(e).message })
    }
  }
  const ok = findings.every((finding) => finding.ok)
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ok, findings })}\n`
      : findings.map((f) => `${f.ok ? 'ok  ' : 'BAD '}  ${f.check.padEnd(9)}${f.says}\n`).join(''),
  )
  return ok
}

async function machine(root: string, program: Program): Promise<string> {
  const facts = machineFacts(root, await runProbe(program.probe))
  const limit = facts.memoryLimitBytes ?? facts.memoryBytes
  return `${facts.board}, ${facts.cores} ${facts.arch} cores, ${formatBytes(limit)} of memory for us, ${facts.kernel}`
}

async function runtime(child: URL | Command): Promise<string> {
  const measuring = await MeasuringProcess.start({ child })
  measuring.close()
  const { runtime: name, runtimeVersion, runtimeBaseBytes, providers } = measuring.ready
  const by = providers ? `, on ${providers.join(', ')}` : ''
  return `${name} ${runtimeVersion} loads and runs a network${by}; its own memory is ${formatBytes(runtimeBaseBytes)}`
}

function disk(state: string): string {
  mkdirSync(state, { recursive: true })
  writeAtomic(join(state, '.doctor'), 'can be written')
  rmSync(join(state, '.doctor'))
  const { bavail, bsize } = statfsSync(state)
  const free = bavail * bsize
  if (free >= leastFreeBytes) return `${state} can be written, ${formatBytes(free)} are free`
  throw new EspalierError(
    'DISK_FULL',
    `${state} has only ${formatBytes(free)} free; ${formatBytes(leastFreeBytes)} or more are wise`,
  )
}

/** Reaches the broker's port, without a session: the running agent may hold this device's only one. */
async function broker(path: string): Promise<string> {
  const credential = readCredential(path)
  const { host, port } = parseBroker(credential.broker)
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port, timeout: 5000 })
    const unreachable = (why: string) =>
      reject(
        new EspalierError(
          'BROKER_UNREACHABLE',
          `${credential.broker}: ${why}; is the service up, and the port open?`,
        ),
      )
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', (error) => unreachable(error.message))
    socket.once('timeout', () => {
      socket.destroy()
      unreachable('no answer within 5 s')
    })
  })
  return `${credential.broker} answers, for device ${credential.id}`
}
