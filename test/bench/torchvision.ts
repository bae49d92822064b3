import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { costOf } from '@espalier/server/compiler/analysis/index.js'
import { elementCount } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, sizedByData } from '@espalier/server/compiler/surgery/index.js'
import { asEspalierError } from '@espalier/shared'
import { agreementOf } from '../zoo/oracle.js'
import { networks } from './torchvision/names.js'

export const about =
  "torchvision's networks at half the channels, beside Torch-Pruning: --python (python3 with torch, torchvision, torch-pruning), --only NAME, --seconds (stop after), --fresh"

const execute = promisify(execFile)
const results = 'test/bench/results/torchvision.json'
const RATIO = 0.5
/** Seconds for each of Espalier and Torch-Pruning; what its authors found to get stuck is not waited for as long. */
const patience = { espalier: 300, pruned: 120, failed: 30 }
/** Files beyond it do not fit the machine beside all else. */
const MOST_BYTES = 800e6

/** Differences that are no fault of pruning. */
const explained = {
  keypointrcnn_resnet50_fpn:
    'one of 1,700 key points is where a map has its largest value, and two places have nearly the same; every box, label and score agrees to 6e-7',
} as const

interface Counts {
  readonly macs: number
  readonly params: number
}

interface Tried {
  readonly before?: Counts
  readonly after?: Counts
  /** Why it did not come out, in words. */
  readonly failure?: string
}

interface Row {
  readonly network: string
  readonly published: 'pruned' | 'failed'
  readonly espalier: Tried & {
    /** Largest difference over what is allowed; at most one is exact. */
    readonly gap?: number
    readonly weak?: boolean
    readonly prunableShare?: number
    readonly leftWhole?: readonly string[]
    readonly seconds?: number
  }
  readonly torchPruning: Tried
}

export default async function torchvision(options: Readonly<Record<string, string>>): Promise<object> {
  const python = options.python ?? 'python3'
  const until = performance.now() + Number(options.seconds ?? Number.POSITIVE_INFINITY) * 1000
  const rows: Row[] = existsSync(results) ? JSON.parse(await readFile(results, 'utf8')).rows : []
  await mkdir('.build/bench', { recursive: true })
  for (const [name, published] of Object.entries(networks)) {
    if (performance.now() > until) break
    if (options.only && options.only !== name) continue
    const at = rows.findIndex((r) => r.network === name)
    if (at >= 0 && !options.fresh && !options.only) continue
    console.error(name)
    const row = {
      network: name,
      published,
      espalier: await espalier(python, name),
      torchPruning: await attempt(
        python,
        ['test/bench/torchvision/networks.py', 'prune', name, `${RATIO}`],
        patience[published],
      ),
    }
    if (at >= 0) rows[at] = row
    else rows.push(row)
    await write(rows)
  }
  return summary(rows)
}

async function espalier(python: string, name: string): Promise<Row['espalier']> {
  const file = `.build/bench/${name}.onnx`
  const exported = await attempt(python, ['test/bench/torchvision/networks.py', 'export', name, file])
  try {
    if (exported.failure) return { failure: `the exporter: ${exported.failure}` }
    const { size } = await stat(file)
    if (size > MOST_BYTES) return { failure: `not tried: its file has ${Math.round(size / 1e6)} MB` }
    return await attempt(process.execPath, [fileURLToPath(import.meta.url), file])
  } finally {
    await rm(file, { force: true })
  }
}

/** What a program printed as JSON on its last line, or the last line of its complaint. */
async function attempt(
  program: string,
  args: readonly string[],
  seconds = patience.espalier,
): Promise<Tried> {
  try {
    const { stdout } = await execute(program, args, { timeout: seconds * 1000, maxBuffer: 1 << 26 })
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } catch (thrown) {
    const { killed, stderr } = thrown as { killed?: boolean; stderr?: string }
    const said = stderr
      ?.trim()
      .split('\n')
      .findLast((line) => /\w*(Error|Exception)\b/.test(line))
    return { failure: killed ? `not done after ${seconds} seconds` : (said ?? String(thrown)).slice(0, 400) }
  }
}

async function write(rows: readonly Row[]): Promise<void> {
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = JSON.stringify(summary(rows), null, 2).slice(0, -2)
  await writeFile(results, `${head},\n  "rows": [\n${lines}\n  ]\n}\n`)
}

function summary(rows: readonly Row[]) {
  const exact = rows.filter((r) => r.espalier.gap !== undefined && r.espalier.gap <= 1)
  const both = exact.filter((r) => r.torchPruning.after)
  const left = (t: Tried, key: keyof Counts) => (t.after?.[key] ?? 0) / (t.before?.[key] ?? 1)
  const mean = (of: (r: Row) => number) => both.reduce((sum, r) => sum + of(r), 0) / both.length
  return {
    published: "Torch-Pruning's examples/torchvision_models/readme.md: 77 of 85",
    networks: Object.keys(networks).length,
    tried: rows.length,
    espalierExact: exact.length,
    espalierExactButWeak: exact.filter((r) => r.espalier.weak).length,
    explained,
    torchPruningHere: rows.filter((r) => r.torchPruning.after).length,
    meanShareLeftWhereBoth: {
      networks: both.length,
      espalier: {
        macs: mean((r) => left(r.espalier, 'macs')),
        params: mean((r) => left(r.espalier, 'params')),
      },
      torchPruning: {
        macs: mean((r) => left(r.torchPruning, 'macs')),
        params: mean((r) => left(r.torchPruning, 'params')),
      },
    },
  }
}

/** What a fresh process does: this file run as a program on an exported network. */
async function pruneOne(file: string): Promise<Row['espalier']> {
  const started = performance.now()
  const subject = await prunable(await readModelFile(file))
  const { coupling } = subject
  const { graph, shapes } = coupling
  const before = costOf(graph, coupling.dims([]), shapes)
  const sizeOf = (tensor: string) => elementCount(graph.constant(tensor)?.dims ?? [0])
  const whole = coupling.whole.filter((w) => graph.constant(w.tensor)?.dtype === 'float32')
  const removed = keepShare(coupling, criteria.l1(coupling), { share: 1 - RATIO })
  const counts = costOf(graph, coupling.dims(removed), shapes)
  const counted = sizedByData(graph)
  const found = graph.outputs.map((o) => o.name).filter((name) => counted.has(name))
  const { gap, varies } = await agreementOf(subject, removed, { found })
  return {
    before: { macs: before.macs, params: before.params },
    after: { macs: counts.macs, params: counts.params },
    gap,
    weak: !varies,
    prunableShare: 1 - whole.reduce((sum, w) => sum + sizeOf(w.tensor), 0) / before.params,
    leftWhole: [...whole]
      .sort((a, b) => sizeOf(b.tensor) - sizeOf(a.tensor))
      .slice(0, 2)
      .map((w) => `${w.tensor} (${sizeOf(w.tensor)}): ${w.reason}`.slice(0, 300)),
    seconds: (performance.now() - started) / 1000,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await pruneOne(process.argv[2]).catch((thrown) => {
    const { code, message } = asEspalierError(thrown)
    return { failure: `${code}: ${message}`.slice(0, 500) }
  })
  process.stdout.write(JSON.stringify(result))
}
