import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Unit, xorshift } from '@espalier/server/compiler/analysis/index.js'
import {
  elementBytes,
  elementCount,
  floats,
  type Graph,
  node,
  numbersOf,
  type Tensor,
} from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { operators, opFor } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { type Prunable, prunable, pruned, zeroUnits } from '@espalier/server/compiler/surgery/index.js'
import { sliceTensor } from '@espalier/server/compiler/surgery/tensors.js'
import { asEspalierError } from '@espalier/shared'

export const about =
  "index flow against the runtime, over the onnx package's node cases that operators.py wrote to --cases; --only OPERATOR; --rows FILE goes on where it stood"

interface Case {
  readonly name: string
  readonly operator: string
  readonly domain: string
  readonly nodes: number
  readonly file?: string
  readonly leftOut?: string
}

type Outcome = 'passed' | 'whole' | 'undescribed' | 'failed' | 'not run'
interface Judged {
  readonly outcome: Outcome
  readonly reason: string
}

/**
 * Every case's inputs are constants, each either the operator's own (a weight: exactly zero once zeroed) or carried
 * through an Add of one number (an activation: anything but zero). Outputs are left open, so that their indices go too.
 * Units are then removed: the operator without them must give what it gives with their weights zeroed, shapes
 * included, and what a carried input holds at indices of theirs must move nothing that stays.
 */
export default async function benchOperators(options: Readonly<Record<string, string>>) {
  const folder = options.cases ?? '.build/bench/operators'
  const index = join(folder, 'index.json')
  if (!existsSync(index))
    throw new Error(`there is no ${index}; write it first: python3 test/bench/operators.py`)
  const all: readonly Case[] = JSON.parse(readFileSync(index, 'utf8'))
  const cases = all.filter((c) => !options.only || c.operator === options.only)
  const earlier = new Map(rowsOf(options.rows).map((row) => [row.name, row]))
  const judged = new Map<Case, Judged>()
  for (const c of cases) {
    const verdict = earlier.get(c.name) ?? (await judge(folder, c))
    if (options.rows && !earlier.has(c.name))
      appendFileSync(options.rows, `${JSON.stringify({ name: c.name, ...verdict })}\n`)
    judged.set(c, verdict)
  }
  const single = cases.filter((c) => c.nodes === 1 && c.domain === '')
  const suite = [...new Set(single.map((c) => c.operator))]
  const known = new Map(operators.filter((o) => o.domain === '').map((o) => [o.op, o]))
  const of = (outcome: Outcome) => [...judged].filter(([, j]) => j.outcome === outcome)
  return {
    operators: {
      inSuite: suite.length,
      described: suite.filter((op) => known.has(op)).length,
      leftWholeByDescription: suite.filter((op) => known.get(op)?.whole),
      undescribed: suite.filter((op) => !known.has(op)),
      /** Described, and no case of theirs, alone or in a function's body, prunes: all are left whole or do not run. */
      neverPruned: suite.filter(
        (op) => known.has(op) && !known.get(op)?.whole && !of('passed').some(([c]) => c.operator === op),
      ),
    },
    cases: {
      inSuite: cases.length,
      passed: of('passed').length,
      leftWhole: of('whole').length,
      undescribed: of('undescribed').length,
      notRun: of('not run').length,
      failed: of('failed').length,
    },
    leftWhole: counted(of('whole').map(([c, j]) => `${c.operator}: ${j.reason.split(' (')[0]}`)),
    notRun: counted(of('not run').map(([, j]) => j.reason)),
    failures: of('failed').map(([c, j]) => ({ case: c.name, reason: j.reason })),
  }
}

/** What an earlier run, ended before its end, found out. */
const rowsOf = (file: string | undefined): readonly (Judged & { readonly name: string })[] =>
  file && existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line) => (line ? [JSON.parse(line)] : []))
    : []

const counted = (texts: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const text of [...texts].sort()) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

async function judge(folder: string, c: Case): Promise<Judged> {
  if (!c.file) return { outcome: 'not run', reason: c.leftOut ?? 'left out' }
  let graph: Graph
  try {
    graph = await readModelFile(join(folder, c.file))
    await (await openSession(graph, { optimize: false })).release()
  } catch (thrown) {
    return { outcome: 'not run', reason: asEspalierError(thrown).code }
  }
  const unknown = graph.nodes.find((n) => n.op !== 'Constant' && !opFor(n))
  if (unknown) return { outcome: 'undescribed', reason: unknown.op }
  const names = [...graph.initializers].filter(([, t]) => carriable(t)).map(([name]) => name)
  let result: Judged = { outcome: 'whole', reason: 'it has no weights' }
  for (const taken of distinct([[], names.slice(0, 1), names])) {
    try {
      const one = await judgeVariant(carried(graph, taken), graph, taken)
      if (one.outcome === 'failed')
        return { ...one, reason: `${one.reason} (carried: ${taken.join(' ') || 'none'})` }
      if (one.outcome === 'passed' || result.outcome === 'whole')
        result = result.outcome === 'passed' ? result : one
    } catch (thrown) {
      const error = asEspalierError(thrown)
      return {
        outcome: error.code === 'INTERNAL' ? 'failed' : 'not run',
        reason: `${error.code}: ${error.message.slice(0, 200)}`,
      }
    }
  }
  return result
}

const carriable = (t: Tensor) => (t.dtype === 'float32' || t.dtype === 'float64') && elementCount(t.dims) > 1
const distinct = (lists: readonly (readonly string[])[]) => [
  ...new Map(lists.map((l) => [l.join(), l])).values(),
]
const baseOf = (name: string) => `${name}.base`
const SHIFT = 0.375

/** An input of a dynamic size, so that nothing counts as a size that cannot change. */
const unused = { name: 'unused', dtype: 'float32', dims: ['n'] } as const
const feeds = { unused: floats([1], [0]) }

/** The graph in which these constants come through an Add, with their values as they were. */
function carried(graph: Graph, names: readonly string[]): Graph {
  const initializers = new Map(graph.initializers)
  const added = names.flatMap((name) => {
    const t = graph.initializers.get(name)
    if (!t) return []
    const filled = (data: Tensor['data'], value: number) => data.map(() => value as never)
    initializers.delete(name)
    const data = t.data.slice()
    for (let i = 0; i < data.length; i++) data[i] = Number(t.data[i]) - SHIFT
    initializers.set(baseOf(name), { dtype: t.dtype, dims: t.dims, data })
    initializers.set(`${name}.shift`, { dtype: t.dtype, dims: [], data: filled(t.data.slice(0, 1), SHIFT) })
    return [node('Add', [baseOf(name), `${name}.shift`], [name])]
  })
  return graph.with({ nodes: [...added, ...graph.nodes], initializers, inputs: [unused] })
}

async function judgeVariant(graph: Graph, original: Graph, names: readonly string[]): Promise<Judged> {
  const subject = await prunable(graph.with({ outputs: sizes(graph) }))
  const { coupling } = subject
  const disagreement = coupling.whole.find((w) => /is known to give|should agree/.test(w.reason))
  if (disagreement) return { outcome: 'failed', reason: disagreement.reason }
  const units = coupling.groups.flatMap((g) => g.units)
  if (units.length === 0)
    return { outcome: 'whole', reason: coupling.whole[0]?.reason ?? 'it has no weights' }
  const some = coupling.groups.slice(0, 6).map((g): readonly Unit[] => [g.units[g.units.length - 1]])
  const half = [...keepShare(coupling, criteria.random(coupling, { seed: 1 }), { share: 0.5 })]
  for (const removed of [...some, ...(half.length > 0 ? [half] : [])]) {
    const fault = await compare(subject, removed, original, names)
    if (fault) return { outcome: 'failed', reason: fault }
  }
  return { outcome: 'passed', reason: '' }
}

/** What is wrong once these units are removed; undefined if nothing is. */
async function compare(
  subject: Prunable,
  removed: readonly Unit[],
  original: Graph,
  names: readonly string[],
): Promise<string | undefined> {
  const { coupling } = subject
  const outputs = original.outputs
    .filter((o) => elementBytes(o.dtype) > 0)
    .map((o) => ({ ...o, dims: null, origin: undefined }))
  const results = async (graph: Graph) => {
    const session = await openSession(graph.with({ outputs }), { optimize: false })
    try {
      return await run(session, feeds)
    } finally {
      await session.release()
    }
  }
  const zeroed = zeroUnits(coupling, removed)
  const expected = await results(zeroed)
  const kept = coupling.kept(removed)
  const staying = (name: string, t: Tensor) =>
    sliceTensor(
      t,
      (coupling.axes.get(name) ?? []).map((a) => kept.indices(a)),
    )
  const differs = (got: Readonly<Record<string, Tensor>>, whole: boolean) => {
    for (const { name } of outputs) {
      const want = staying(name, expected[name])
      const have = whole ? got[name] : staying(name, got[name])
      if (`${have.dims}` !== `${want.dims}`) return `'${name}' has shape [${have.dims}], not [${want.dims}]`
      const gap = largestGap(numbersOf(want), numbersOf(have))
      if (gap > 1) return `'${name}' differs by ${gap.toPrecision(3)} of what is allowed`
    }
    return undefined
  }
  const what = describe(removed)
  const exact = differs(await results(pruned(subject, removed)), true)
  if (exact) return `without ${what}: ${exact}`
  for (const name of names) {
    const moved = perturbed(zeroed, baseOf(name), removed)
    const noticed = moved && differs(await results(moved), false)
    if (noticed) return `${what} of '${name}' perturbed: ${noticed}`
  }
  return undefined
}

/** Outputs that are sizes stay outputs: what they count must not change. */
const sizes = (graph: Graph) =>
  graph.outputs.filter((o) => ['Shape', 'Size'].includes(graph.producer(o.name)?.op ?? ''))

const describe = (units: readonly Unit[]) =>
  units
    .slice(0, 2)
    .flatMap((u) => u.slices.map((s) => `${s.tensor}[axis ${s.axis}: ${s.indices.slice(0, 4)}]`))
    .join(', ')

/** Numbers between zero and two wherever the constant belongs to one of the units; undefined if it does nowhere. */
function perturbed(graph: Graph, name: string, units: readonly Unit[]): Graph | undefined {
  const t = graph.initializers.get(name)
  const slices = units.flatMap((u) => u.slices).filter((s) => s.tensor === name)
  if (!t || slices.length === 0) return undefined
  const random = xorshift(7)
  const data = t.data.slice()
  let stride = 1
  const strides = [...t.dims].reverse().map((size) => {
    const own = stride
    stride *= size
    return own
  })
  strides.reverse()
  for (let i = 0; i < data.length; i++) {
    const inside = slices.some((s) => s.indices.includes(Math.floor(i / strides[s.axis]) % t.dims[s.axis]))
    if (inside) data[i] = 2 * random()
  }
  return graph.with({
    initializers: new Map(graph.initializers).set(name, { dtype: t.dtype, dims: t.dims, data }),
  })
}

/** As a multiple of 1e-4 · scale + 1e-6. */
function largestGap(a: readonly number[], b: readonly number[]): number {
  const finite = a.filter(Number.isFinite)
  const allowed = 1e-4 * finite.reduce((m, v) => Math.max(m, Math.abs(v)), 0) + 1e-6
  return a.reduce((m, v, i) => {
    if (Object.is(v, b[i]) || v === b[i]) return m
    const d = Math.abs(v - b[i]) / allowed
    return Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(m, d)
  }, 0)
}
