import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Allocation,
  allocate,
  costsWithout,
  type Limits,
} from '@espalier/server/compiler/budget/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { latencyModel } from '@espalier/server/compiler/latency/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { measuredStep, profile, STEPS } from '@espalier/server/compiler/recipes/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { type Prunable, prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import {
  MeasuringProcess,
  median,
  type OperatorTimes,
  profileMachine,
} from '@espalier/shared/measure/index.js'
import { built, files } from './parts/conv-networks.js'

export const about =
  "latency ratio over MACs ratio at half the MACs, dense and pruned in turn in one process, by fit's default and by this machine's profile: --networks sample,… --rounds 15 --times 3"

const results = 'test/bench/results/latency.json'
/** What the ratio may be. */
const BAR = 1.15
/** The choice by profile keeps as much saliency as the default, but for this. */
const WORTH = 0.01

interface Row {
  readonly network: string
  readonly byDefault: { readonly ratio: number }
  readonly byProfile: { readonly ratio: number }
}

/**
 * For each network, by l1 and one thread: half its MACs by the default, which measures in what multiples channels run
 * fastest, and by each step said; and half its MACs within the least latency in which this machine's profile still
 * keeps as much saliency as the default; and how near a table of this machine that knows no network comes. Rows of networks that are not asked for stay as they were measured before.
 */
export default async function latencyBench(options: Readonly<Record<string, string>>): Promise<object> {
  const names = options.networks?.split(',') ?? [...Object.keys(files), ...Object.keys(built)]
  const before: Row[] = existsSync(results) ? JSON.parse(await readFile(results, 'utf8')).rows : []
  const rows = new Map(before.filter((r) => 'byDefault' in r).map((r) => [r.network, r]))
  const general = await profileMachine({ child: measuringChild })
  for (const name of names) {
    if (files[name] && !existsSync(files[name])) continue
    const graph = built[name]?.() ?? (await readModelFile(files[name] ?? ''))
    const row = {
      network: name,
      ...(await half(graph, general, Number(options.rounds ?? 15), Number(options.times ?? 3))),
    }
    console.error(JSON.stringify(row))
    rows.set(name, row)
    const all = [...rows.values()]
    const record = {
      command: 'npm run bench -- latency',
      machine: `${cpus().length} × ${cpus()[0].model}, node ${process.version}, one thread`,
      networks: all.length,
      withinByDefault: all.filter((r) => r.byDefault.ratio <= BAR).length,
      withinByProfile: all.filter((r) => r.byProfile.ratio <= BAR).length,
      rows: all,
    }
    await writeFile(results, `${JSON.stringify(record, null, 2)}\n`)
  }
  return JSON.parse(await readFile(results, 'utf8'))
}

async function half(graph: Graph, general: OperatorTimes, rounds: number, times: number) {
  const subject = await prunable(graph)
  const { coupling } = subject
  const scores = criteria.l1(coupling)
  const { times: table, checks } = await profile(graph, { round: 4 })
  const expect = { latency: latencyModel(table, coupling) }
  const dense = allocate(coupling, scores, {}, { expect })
  const macs = dense.costs.macs / 2
  const by = (limits: Limits, round: number) =>
    allocate(coupling, scores, limits, { round, expect, orFloor: true })
  const plain = (round: number) => allocate(coupling, scores, { macs }, { round })
  const step = await measuredStep(subject, plain)
  const expected = (choice: Allocation) => costsWithout(coupling, choice.removed, expect).costs.latency
  const forms = {
    dense,
    byDefault: step.choice,
    byProfile: quickest(
      step.choice,
      (latencyMs, round) => by({ macs, latencyMs }, round),
      expected(step.choice),
    ),
    ...Object.fromEntries(STEPS.map((round) => [`multiplesOf${round}`, plain(round)])),
  }
  const seen = await ratios(subject, Object.values(forms), { rounds, times })
  const [denseMs] = seen.ms
  const byGeneral = costsWithout(coupling, [], { latency: latencyModel(general, coupling) }).costs.latency
  const judged = Object.entries(forms).map(([name, { costs, saliency }], i) => {
    const share = costs.macs / dense.costs.macs
    const latency = seen.over[i].p50
    const beyond = (latency * denseMs - table.queryMs) / (denseMs - table.queryMs)
    return [
      name,
      {
        macs: share,
        saliency,
        latency,
        ratio: latency / share,
        spread: seen.over[i].spread / share,
        beyondQuery: beyond / share,
      },
    ] as const
  })
  return {
    denseMs,
    queryMs: table.queryMs,
    step: step.round,
    ...(Object.fromEntries(judged.slice(1)) as Record<'byDefault' | 'byProfile', (typeof judged)[number][1]>),
    generalOverMeasured: byGeneral / denseMs,
    predictedOverMeasured: checks.map((c) => c.predictedMs / c.measuredMs),
  }
}

/** Limits on latency from `most` ms down, as long as one leaves as much saliency as `other` has. */
function quickest(
  other: Allocation,
  choose: (latencyMs: number, round: number) => Allocation,
  most: number,
): Allocation {
  let best = other
  for (let share = 1; share > 0.4; share -= 0.04) {
    const latencyMs = share * most
    const kept = STEPS.map((round) => choose(latencyMs, round)).filter(
      (c) => c.costs.latency <= latencyMs && c.saliency >= other.saliency - WORTH,
    )
    if (kept.length === 0) break
    best = kept.reduce((a, b) => (b.saliency > a.saliency ? b : a))
  }
  return best
}

/** Each form over the first, timed in turn in a few processes: the middle, and largest less smallest. */
async function ratios(
  subject: Prunable,
  forms: readonly Allocation[],
  { rounds, times }: { rounds: number; times: number },
) {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-latency-'))
  try {
    const paths = forms.map((_, i) => join(folder, `${i}.onnx`))
    for (const [i, { removed }] of forms.entries()) await writeModelFile(pruned(subject, removed), paths[i])
    const runs: number[][] = []
    for (let run = 0; run < times; run++) {
      const child = await MeasuringProcess.start({ child: measuringChild, timeoutMs: 600_000 })
      try {
        const { p50Ms } = await child.compare({ paths, rounds, roundMs: 60 })
        runs.push(p50Ms.map((v) => v ?? Number.NaN))
      } finally {
        child.close()
      }
    }
    return {
      ms: forms.map((_, i) => median(runs.map((r) => r[i]))),
      over: forms.map((_, i) => {
        const shares = runs.map((r) => r[i] / r[0])
        return { p50: median(shares), spread: Math.max(...shares) - Math.min(...shares) }
      }),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
