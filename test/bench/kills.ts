import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadDataset, random } from '@espalier/server/compiler/data/index.js'
import { freshWeights, type TrainOptions, train } from '@espalier/server/compiler/train/index.js'
import { lenet300 } from '../zoo/lenet300.js'
import { digitsNetwork } from './parts/subjects.js'

export const about =
  'SIGKILL at --kills 10 random moments of a training: are the weights after resuming those of an uninterrupted run, bit for bit? --seed 1'

const folder = '.build/bench/kills'

/** Sparse by movement, with an average of the weights and augmentation: everything that a checkpoint must hold. */
async function trained(checkpoint?: string, on: () => void = () => {}): Promise<string> {
  const graph = freshWeights(lenet300(), 1)
  const data = await loadDataset(graph, `${digitsNetwork.data}#first=4000`)
  const options: TrainOptions = {
    ...{ epochs: 12, batch: 50, optimizer: 'adamw', average: 0.99, seed: 1, shift: 1, mixup: 0.2 },
    sparsity: { method: 'movement', sparsity: 0.8, every: 5 },
    ...(checkpoint && { checkpoint, checkpointSeconds: 0.5 }),
  }
  const { graph: result } = await train(graph, data, options, on)
  const hash = createHash('sha256')
  for (const { data } of result.initializers.values())
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return hash.digest('hex')
}

export default async function kills(options: Readonly<Record<string, string>>): Promise<object> {
  const count = Number(options.kills ?? 10)
  const seed = Number(options.seed ?? 1)
  const draw = random(seed)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const started = performance.now()
  const whole = await trained()
  const seconds = (performance.now() - started) / 1000
  const checkpoint = join(folder, 'run')
  const moments: number[] = []
  let early: string | undefined
  for (let i = 0; i < count && early === undefined; i++) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), checkpoint], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    let said = ''
    child.stdout.on('data', (text) => {
      said += text
    })
    const exited = once(child, 'exit')
    // From its first step on, for as long as a share of the whole run takes.
    while (!said.includes('step') && child.exitCode === null) await setTimeout(20)
    const wait = (2 * draw() * seconds) / count
    await Promise.race([setTimeout(1000 * wait), exited])
    if (child.exitCode === null && child.pid) process.kill(-child.pid, 'SIGKILL')
    await exited
    moments.push(Math.round(wait * 100) / 100)
    early = /^[0-9a-f]{64}$/m.exec(said)?.[0]
  }
  const resumed = early ?? (await trained(checkpoint))
  const record = {
    command: `npm run bench -- kills --kills ${count} --seed ${seed}`,
    ...{ kills: moments.length, secondsAfterFirstStep: moments, endedBeforeTheLast: early !== undefined },
    ...{ same: resumed === whole, whole, resumed },
  }
  await writeFile('test/bench/results/kills.json', `${JSON.stringify(record, null, 2)}\n`)
  return record
}

// As a process of its own: the run that is killed.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let told = false
  const digest = await trained(process.argv[2], () => {
    if (!told) console.log('step')
    told = true
  })
  console.log(digest)
}
