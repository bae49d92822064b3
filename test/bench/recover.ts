import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { allocate, costWithout } from '@espalier/server/compiler/budget/index.js'
import { type Dataset, loadDataset } from '@espalier/server/compiler/data/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { saliency } from '@espalier/server/compiler/recipes/saliency.js'
import { recover } from '@espalier/server/compiler/recover/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import {
  loadCheckpoint,
  removeCheckpoint,
  runKey,
  saveCheckpoint,
} from '@espalier/server/compiler/train/checkpoint.js'
import { refreshStatistics, withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { recoverPlot } from './parts/recover-plot.js'
import { afterPruning, cifarNetworks, digitsNetwork } from './parts/subjects.js'

export const about =
  'half the MACs: top-1 after pruning alone, statistics, repair and two epochs after it without labels, ten epochs with labels, by CPU seconds: --networks sample,resnet8,resnet20 --images 2000 --epochs 10 --multiple 4 --minutes 7'

/** Epochs towards the dense network's answers, as many as `fit` takes where nobody says. */
const ANSWERS = 2

const networks = { sample: digitsNetwork, ...cifarNetworks } as const
type Name = keyof typeof networks

/** What one step brought: top-1 on the test images, CPU seconds of the step, and what it was. */
export interface Step {
  readonly step:
    | 'pruned'
    | 'statistics'
    | 'repair'
    | 'answers after repair'
    | 'fine-tuning'
    | 'fine-tuning after repair'
  readonly top1: number
  readonly loss: number
  readonly cpuSeconds: number
}

export interface Curve {
  readonly network: string
  readonly images: number
  readonly tested: number
  readonly macs: number
  readonly dense: number
  readonly steps: readonly Step[]
}

/**
 * Measures one step after the other and keeps each, also in the midst of a training: called again with the same options
 * it goes on where it was. Ends early, with what there is, after so many minutes.
 */
export default async function recoverBench(options: Readonly<Record<string, string>>): Promise<object> {
  const names = (options.networks ?? 'sample,resnet8,resnet20').split(',') as Name[]
  const images = Number(options.images ?? 2000)
  const epochs = Number(options.epochs ?? 10)
  const multiple = Number(options.multiple ?? 4)
  const until = performance.now() + 60_000 * Number(options.minutes ?? 1e6)
  const found = new Map<Name, Curve>()
  // What is not compared with comes last: time may be up before.
  for (const last of [false, true])
    for (const name of names) {
      const curve = await measure(name, {
        images,
        epochs,
        criterion: options.criterion ?? 'taylor',
        multiple,
        until,
        last,
      })
      if (curve) found.set(name, curve)
    }
  const curves = [...found.values()]
  const record = {
    command: `npm run bench -- recover --images ${images} --epochs ${epochs} --multiple ${multiple}`,
    machine: `${cpus().length} × ${cpus()[0].model}, node ${process.version}, one thread`,
    curves: curves.map((c) => ({ ...c, gains: gains(c) })),
  }
  await writeFile('test/bench/results/recover.json', `${JSON.stringify(record, null, 2)}\n`)
  await writeFile('test/bench/results/recover.svg', recoverPlot(curves))
  return record
}

/** Points of top-1 that a step brought over the one it starts from, and how many of them each CPU second. */
function gains({ steps }: Curve) {
  const top1 = new Map(steps.map((s) => [s.step, s.top1]))
  const from = {
    statistics: 'pruned',
    repair: 'statistics',
    'fine-tuning': 'statistics',
    'answers after repair': 'repair',
    'fine-tuning after repair': 'repair',
  } as const
  return steps.flatMap(({ step, cpuSeconds }) => {
    if (step === 'pruned') return []
    const points = 100 * ((top1.get(step) ?? 0) - (top1.get(from[step]) ?? 0))
    return [{ step, from: from[step], points, pointsPerSecond: points / cpuSeconds }]
  })
}

interface Plan {
  readonly images: number
  readonly epochs: number
  readonly criterion: string
  /** Channel counts are multiples of it, where they can be. */
  readonly multiple: number
  readonly until: number
  /** Whether what was repaired is fine-tuned, too. */
  readonly last: boolean
}

async function measure(name: Name, plan: Plan): Promise<Curve | undefined> {
  const { images, epochs, criterion, multiple, until, last } = plan
  const network = networks[name]
  const out = join('.build/bench', `recover-${name}-${images}-${epochs}-${criterion}-${multiple}`)
  const file = (what: string) => join(out, what)
  await mkdir(out, { recursive: true })
  const dense = await readModelFile(network.model)
  const load = async (spec: string) => loadDataset(dense, spec, network.load)
  const data = await load(`${network.data}#first=${images}`)
  const test = await load(`${network.eval}#first=${network.tests}`)
  const subject = await prunable(dense)
  const kept: { macs: number; dense: number; steps: Step[]; removed: number[] } = existsSync(
    file('steps.json'),
  )
    ? JSON.parse(await readFile(file('steps.json'), 'utf8'))
    : { macs: 0, dense: 0, steps: [], removed: [] }
  const save = () => writeFile(file('steps.json'), JSON.stringify(kept))
  const units = subject.coupling.groups.flatMap((g) => g.units)
  if (kept.removed.length === 0) {
    const scores = await saliency(criterion, subject.coupling, data, 0)
    const whole = costWithout(subject.coupling, [])
    const found = allocate(subject.coupling, scores, { macs: whole.macs / 2 }, { depth: 1, round: multiple })
    kept.removed = units.flatMap((u, i) => (found.removed.has(u) ? [i] : []))
    kept.macs = found.footprint.macs / whole.macs
    kept.dense = (await evaluate(dense, test)).top1 ?? 0
    await save()
  }
  const removed = kept.removed.map((i) => units[i])
  const small = pruned(subject, removed)
  /** The graph of a step, made if it is not there; undefined where time is up before. */
  const step = async (
    what: Step['step'],
    make: () => Promise<Timed | undefined>,
  ): Promise<Graph | undefined> => {
    const path = file(`${what}.onnx`)
    if (kept.steps.some((s) => s.step === what)) return readModelFile(path)
    if (performance.now() > until) return undefined
    const made = await make()
    if (!made) return undefined
    const { top1, loss } = await evaluate(made.graph, test)
    await writeModelFile(made.graph, path)
    kept.steps.push({ step: what, top1: top1 ?? 0, loss: loss ?? 0, cpuSeconds: made.seconds })
    console.error(name, kept.steps.at(-1))
    await save()
    return made.graph
  }
  await step('pruned', async () => ({ graph: small, seconds: 0 }))
  const fresh = await step('statistics', () => timed(() => refreshStatistics(small, data)))
  if (!fresh) return undefined
  const repaired = await step('repair', () =>
    timed(async () => (await recover(subject.coupling, removed, fresh, data, { samples: images })).graph),
  )
  const train = (what: string, graph: Graph, samples = data, passes = epochs) =>
    trained(graph, dense, samples, {
      epochs: passes,
      flip: network.flip,
      file: file(`${what}.checkpoint`),
      until,
    })
  const unlabelled = { ...data, labels: undefined }
  if (repaired) await step('answers after repair', () => train('answers', repaired, unlabelled, ANSWERS))
  await step('fine-tuning', () => train('fine-tuning', fresh))
  if (repaired && last) await step('fine-tuning after repair', () => train('after repair', repaired))
  return { network: name, images, tested: test.count, macs: kept.macs, dense: kept.dense, steps: kept.steps }
}

interface Timed {
  readonly graph: Graph
  /** Of CPU time: others use this machine too. */
  readonly seconds: number
}

const cpu = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6

async function timed(work: () => Promise<Graph>): Promise<Timed> {
  const started = cpu()
  const graph = await work()
  return { graph, seconds: cpu() - started }
}

/** Fine-tuning by fit's recipe, in this process so that its CPU time can be told; undefined where time is up before its end. */
async function trained(
  graph: Graph,
  teacher: Graph,
  data: Dataset,
  { epochs, flip, file, until }: { epochs: number; flip: boolean; file: string; until: number },
): Promise<Timed | undefined> {
  const key = runKey(`${epochs}`, `${data.count}`)
  const resume = loadCheckpoint(file, key)
  const before = resume?.seconds ?? 0
  const started = cpu()
  let checked = performance.now()
  const full = new Error('time is up')
  try {
    const { constants } = await trainHere(
      graph,
      data,
      { ...afterPruning(teacher, epochs), flip, unfold: true },
      {
        on: ({ step, steps }) => {
          if (step % 200 < 5) console.error(`step ${step} of ${steps}`)
        },
        resume,
        between(state) {
          const late = performance.now() > until
          if (!late && performance.now() - checked < 20_000) return
          checked = performance.now()
          saveCheckpoint(file, key, { ...state(), seconds: before + cpu() - started })
          if (late) throw full
        },
      },
    )
    removeCheckpoint(file)
    return { graph: withConstants(graph, constants), seconds: before + cpu() - started }
  } catch (thrown) {
    if (thrown === full) return undefined
    throw thrown
  }
}
