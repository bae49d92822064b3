import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import {
  captureShapes,
  expectedRam,
  type MemoryParts,
  memoryParts,
  xorshift,
} from '@espalier/server/compiler/analysis/index.js'
import { type Allocation, allocate, costWithout, floor } from '@espalier/server/compiler/budget/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { meetMemory, type Point } from '@espalier/server/compiler/recipes/meet-memory.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { measureMemory, median } from '@espalier/shared/measure/index.js'
import { fitted, type Row as Known, type Network, networks, shapesOf } from './memory.js'

export const about =
  'fifty budgets at random over ten networks, met by measuring: above, within 10 % below, predicted by coefficients that never saw the network; --minutes N stops early'

/** Five budgets each. */
const subjects = [
  'digits',
  'blazeface-front',
  'mlperf-resnet8',
  'resnet20-cifar10',
  'ch_ppocr_mobile_v2.0_cls_infer',
  'ch_PP-OCRv4_det_infer',
  'ch_PP-OCRv4_rec_infer',
  'mobilenet_v3_small',
  'shufflenet_v2',
  'squeezenet1_1',
]
const EACH = 5

interface Row extends MemoryParts {
  readonly network: string
  readonly family: string
  readonly n: number
  readonly budget: number
  /** Share of the dense network's MACs that may stay, where that was asked too. */
  readonly macs: number | null
  /** The largest of ten processes: five when it was chosen, five afterwards. */
  readonly measured: number
  readonly bound: string | null
  /** Whether no larger form is left that was not measured to be too large. */
  readonly largest: boolean
  /** Multiples that channel counts are kept in; finer ones were tried where these left more than a tenth unused. */
  readonly round: number
  readonly candidates: number
}

const results = 'test/bench/results/budgets.json'
const known = 'test/bench/results/memory.json'
const file = '.build/bench/budgets.onnx'

export default async function budgetsBench(options: Readonly<Record<string, string>>): Promise<object> {
  const before: Row[] =
    existsSync(results) && !options.fresh ? JSON.parse(await readFile(results, 'utf8')).rows : []
  // What an older model of memory chose says nothing of this one.
  const rows = before.filter((r) => r.operands !== undefined)
  const until = Date.now() + Number(options.minutes ?? 600) * 60e3
  await mkdir('.build/bench', { recursive: true })
  for (const name of subjects) {
    const network = networks().find((x) => x.name === name)
    if (!network || Date.now() > until) continue
    const missing = Array.from({ length: EACH }, (_, n) => n).filter(
      (n) => !rows.some((r) => r.network === name && r.n === n),
    )
    if (missing.length === 0) continue
    const meet = await meeter(network)
    for (const n of missing) {
      if (Date.now() > until) break
      const { form, ...row } = await meet(n)
      const { dims } = await captureShapes(form, shapesOf(form, network.input))
      rows.push({
        network: name,
        family: network.family,
        n,
        ...row,
        ...memoryParts(form, dims, { batch: 1 }),
      })
      console.error(JSON.stringify(rows.at(-1)))
      await save(rows)
    }
  }
  await save(rows)
  return summary(rows, await withoutEach(rows))
}

/** Measures the dense network and its floor, and gives what meets the `n`th budget between them. */
async function meeter(network: Network) {
  const graph = await network.load()
  const subject = await prunable(graph, network.input ? { [graph.inputs[0].name]: network.input } : {})
  const { coupling } = subject
  const scores = criteria.l1(coupling)
  const measure = async (removed: Allocation['removed'], processes: number) => {
    const form = pruned(subject, removed)
    await writeModelFile(form, file)
    const shapes = shapesOf(form, network.input)
    return (await measureMemory(file, { child: measuringChild, shapes }, processes)).measuredRamBytes
  }
  const whole = costWithout(coupling, [])
  const least = floor(coupling)
  const [dense, bottom] = [await measure(new Set(), 5), await measure(least.removed, 5)]
  const points: Point[] = [
    { predicted: whole.predictedRamBytes, measured: dense },
    { predicted: least.footprint.predictedRamBytes, measured: bottom },
  ]
  return async (n: number) => {
    const random = xorshift(1 + n + 100 * subjects.indexOf(network.name))
    for (let i = 0; i < 3; i++) random()
    const budget = Math.round(bottom + (0.08 + 0.87 * random()) * (dense - bottom))
    const macs = n === EACH - 1 ? 0.1 + 0.8 * random() : null
    let tooMany = Number.POSITIVE_INFINITY
    let candidates = 0
    for (;;) {
      const found = await meetMemory({
        ...{ budget, round: 8, points, tooMany },
        choose: (memoryBytes, memory, round) => {
          const limits = { memoryBytes, macs: macs === null ? undefined : macs * whole.macs }
          return allocate(coupling, scores, limits, { round, expect: { memory }, orFloor: true })
        },
        measure: (candidate) => {
          candidates++
          return measure(candidate.removed, 5)
        },
      })
      if (!found) throw new Error(`${network.name}: ${budget} was not met`)
      const measured = Math.max(found.measured, await measure(found.removed, 5))
      if (measured <= budget) {
        const { bound, round, removed, largest } = found
        return { budget, macs, measured, bound, largest, round, candidates, form: pruned(subject, removed) }
      }
      const { predictedRamBytes: predicted } = found.footprint
      points.push({ predicted, measured })
      tooMany = Math.min(tooMany, predicted)
    }
  }
}

async function save(rows: readonly Row[]): Promise<void> {
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = JSON.stringify(summary(rows, await withoutEach(rows)), null, 2).slice(0, -2)
  await writeFile(results, `${head},\n  "rows": [\n${lines}\n  ]\n}\n`)
}

/** For each row what is predicted by coefficients that were fitted without its network. */
async function withoutEach(rows: readonly Row[]): Promise<Map<Row, number>> {
  const all: Known[] = JSON.parse(await readFile(known, 'utf8')).rows
  const families = [...new Set(rows.map((r) => r.family))]
  const coefficients = new Map(families.map((f) => [f, fitted(all.filter((r) => r.family !== f))]))
  return new Map(rows.map((r) => [r, expectedRam(r, coefficients.get(r.family))]))
}

function summary(rows: readonly Row[], predicted: ReadonlyMap<Row, number>) {
  const used = rows.map((r) => r.measured / r.budget)
  const bySome = (r: Row) => r.measured >= 0.9 * r.budget
  const error = (r: Row) => Math.abs((predicted.get(r) ?? 0) - r.measured)
  return {
    budgets: rows.length,
    networks: new Set(rows.map((r) => r.network)).size,
    above: rows.filter((r) => r.measured > r.budget).length,
    within10PercentBelow: rows.filter(bySome).length,
    anotherBound: rows.filter((r) => !bySome(r) && r.bound !== 'memory').length,
    noLargerFormFits: rows.filter((r) => !bySome(r) && r.bound === 'memory' && r.largest).length,
    unexplained: rows.filter((r) => !bySome(r) && r.bound === 'memory' && !r.largest).length,
    medianUsed: rows.length > 0 ? median(used) : null,
    predictedWithin10PercentOr1MB: rows.filter((r) => error(r) <= Math.max(1e6, 0.1 * r.measured)).length,
    medianPredictionError: rows.length > 0 ? median(rows.map((r) => error(r) / r.measured)) : null,
    candidates: rows.reduce((sum, r) => sum + r.candidates, 0),
  }
}
