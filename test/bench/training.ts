import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { hugePages } from '@espalier/server/compiler/train/train.js'
import { FOLDER, peersIn } from './parts/peers.js'
import { Resumable } from './parts/resumable.js'

export const about =
  "training steps beside PyTorch's eager, channels-last and compiled, one thread each, in turn; --python PATH --folder FOLDER --only NETWORK --batch (64) --rounds (5) --seconds (2) --variants (eager,channels-last,compiled) --minutes (7)"

interface Timed {
  readonly wall: number
  readonly cpu: number
  readonly peakBytes: number
}

interface Figures {
  /** Samples a second of processor time, which neighbours on a busy machine hardly change; the median round. */
  readonly perCpuSecond: number
  readonly perSecond: number
  /** Largest resident memory of the whole process. */
  readonly peakBytes: number
}

const networks = ['LeNet-5', 'ResNet-20', 'MobileNetV2-like', 'transformer']
const variants = 'eager,channels-last,compiled'

/**
 * Steps of Adam on random samples, of the networks that `training/peer.py export` wrote. `ratio`: Espalier's samples a
 * second of processor time over PyTorch's at its best. A round is as many steps as take about `seconds`.
 */
export default async function training(options: Readonly<Record<string, string>>) {
  const folder = options.folder ?? FOLDER
  const batch = Number(options.batch ?? 64)
  const rounds = Number(options.rounds ?? 5)
  const kept = await Resumable.open('training-speed', Number(options.minutes ?? 7))
  const names = peersIn(folder)
    .map((p) => p.name)
    .filter((name) => (options.only ? name === options.only : networks.includes(name)))
  const results: Record<string, object> = {}
  for (const name of names)
    results[name] = await kept.figure(`${name}, ${batch}`, () =>
      compared(folder, options, name, batch, rounds),
    )
  return { batch, rounds, networks: results }
}

async function compared(
  folder: string,
  options: Readonly<Record<string, string>>,
  name: string,
  batch: number,
  rounds: number,
) {
  const own = fileURLToPath(new URL('training/own.js', import.meta.url))
  const peer = join('test', 'bench', 'training', 'peer.py')
  const seconds = Number(options.seconds ?? 2)
  const runners = [
    new Runner('espalier', process.execPath, [own, folder, name, `${batch}`], hugePages()),
    ...(options.variants ?? variants)
      .split(',')
      // Tokens have no channels.
      .filter((v) => name !== 'transformer' || v !== 'channels-last')

      .map((v) => new Runner(v, options.python ?? 'python3', [peer, 'time', name, v, `${batch}`])),
  ]
  try {
    for (const r of runners) await r.ready()
    const steps = new Map<Runner, number>()
    for (const r of runners) {
      await r.steps(2)
      steps.set(r, Math.max(2, Math.round(seconds / (await r.steps(2)).cpu)))
    }
    const times = new Map(runners.map((r) => [r, [] as Timed[]]))
    for (let round = 0; round < rounds; round++)
      for (const r of runners) times.get(r)?.push(await r.steps(steps.get(r) ?? 2))
    const figures = Object.fromEntries(
      [...times].map(([r, list]) => [r.name, figuresOf(list, batch * (steps.get(r) ?? 2))]),
    )
    const { espalier, ...others } = figures
    const best = Math.max(...Object.values(others).map((f) => f.perCpuSecond))
    return { ratio: espalier.perCpuSecond / best, ...figures }
  } finally {
    for (const r of runners) r.end()
  }
}

function figuresOf(times: readonly Timed[], samples: number): Figures {
  const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1]
  return {
    perCpuSecond: Math.round(samples / median(times.map((t) => t.cpu))),
    perSecond: Math.round(samples / median(times.map((t) => t.wall))),
    peakBytes: Math.max(...times.map((t) => t.peakBytes)),
  }
}

/** A process that does steps when it is asked to, and says how long they took. */
class Runner {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ) {
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    const lines: Interface = createInterface({ input: this.#child.stdout! })
    this.#lines = lines[Symbol.asyncIterator]()
  }

  async ready(): Promise<void> {
    await this.#line()
  }

  async steps(count: number): Promise<Timed> {
    this.#child.stdin?.write(`${count}\n`)
    return JSON.parse(await this.#line())
  }

  end(): void {
    this.#child.stdin?.end()
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (!done) return value
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    throw new Error(`'${this.name}' ended with ${this.#child.exitCode}`)
  }
}
