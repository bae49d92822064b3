import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { allocate, costsWithout } from '@espalier/server/compiler/budget/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { latencyModel } from '@espalier/server/compiler/latency/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { profile } from '@espalier/server/compiler/recipes/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { MeasuringProcess } from '@espalier/shared/measure/index.js'
import { Net } from '../zoo/index.js'

export const about =
  "latency ratio over MACs ratio at half the MACs, dense and pruned in turn in one process, and by this machine's profile: --networks sample,… --rounds 15"

const shared = '../shared/models'
const files: Readonly<Record<string, string>> = {
  sample: 'deploy/sample/digits.onnx',
  resnet20: `${shared}/resnet20-cifar10.onnx`,
  resnet8: `${shared}/mlperf-resnet8.onnx`,
  kws: `${shared}/mlperf-kws.onnx`,
  blazeface: `${shared}/blazeface-front.onnx`,
}

/** Networks at realistic width, random weights. */
const built: Readonly<Record<string, () => Graph>> = { vgg, mobilenet }

/** VGG's first three stages on 64 × 64. */
function vgg(): Graph {
  const n = new Net('vgg')
  let x = n.input('x', ['n', 3, 64, 64])
  let from = 3
  for (const to of [64, 128, 256]) {
    x = n.op('Relu', [n.conv(x, from, to)])
    x = n.op('Relu', [n.conv(x, to, to)])
    x = n.op('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] })
    from = to
  }
  return n.build(n.head(x, from, 10))
}

/** MobileNet's stack of depthwise and 1 × 1 convolutions on 96 × 96. */
function mobilenet(): Graph {
  const n = new Net('mobilenet')
  let from = 32
  let x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 96, 96]), 3, from, { stride: 2 })])
  for (const [to, stride] of [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    [512, 1],
  ] as const) {
    x = n.op('Relu', [n.conv(x, from, from, { group: from, stride })])
    x = n.op('Relu', [n.conv(x, from, to, { k: 1 })])
    from = to
  }
  return n.build(n.head(x, from, 10))
}

/**
 * For each network: half its MACs by l1 in multiples of 8 and of 16, and what this machine's profile leaves in the time
 * that the first is expected to take; each against dense, in turn, in one child process with one thread.
 */
export default async function latencyBench(options: Readonly<Record<string, string>>): Promise<object> {
  const names = options.networks?.split(',') ?? [...Object.keys(files), ...Object.keys(built)]
  const rounds = Number(options.rounds ?? 15)
  const rows = []
  for (const name of names) {
    if (files[name] && !existsSync(files[name])) continue
    const graph = built[name]?.() ?? (await readModelFile(files[name] ?? ''))
    rows.push({ network: name, ...(await half(graph, rounds)) })
    console.error(JSON.stringify(rows.at(-1)))
  }
  const record = {
    command: `npm run bench -- latency ${Object.entries(options)
      .flatMap(([k, v]) => [`--${k}`, v])
      .join(' ')}`.trim(),
    machine: `${cpus().length} × ${cpus()[0].model}, node ${process.version}`,
    within: rows.filter((r) => r.ratio <= 1.15).length,
    rows,
  }
  if (!options.networks)
    await writeFile('test/bench/results/latency.json', `${JSON.stringify(record, null, 2)}\n`)
  return record
}

async function half(graph: Graph, rounds: number) {
  const subject = await prunable(graph)
  const { coupling } = subject
  const scores = criteria.l1(coupling)
  const { times, checks } = await profile(graph, { round: 4 })
  const expect = { latency: latencyModel(times, coupling) }
  const dense = allocate(coupling, scores, {}, { expect })
  const macs = dense.costs.macs / 2
  const eights = allocate(coupling, scores, { macs })
  const sixteens = allocate(coupling, scores, { macs }, { round: 16 })
  const latencyMs = costsWithout(coupling, eights.removed, expect).costs.latency
  const profiled = allocate(coupling, scores, { latencyMs }, { round: 4, expect })
  const forms = { dense, eights, sixteens, profiled }
  const folder = await mkdtemp(join(tmpdir(), 'espalier-latency-'))
  const child = await MeasuringProcess.start({ child: measuringChild, timeoutMs: 600_000 })
  try {
    const paths = Object.keys(forms).map((n) => join(folder, `${n}.onnx`))
    for (const [i, { removed }] of Object.values(forms).entries())
      await writeModelFile(pruned(subject, removed), paths[i])
    const { p50Ms } = await child.compare({ paths, rounds, roundMs: 60 })
    const measured = p50Ms.map((v) => v ?? Number.NaN)
    const against = (i: number, { costs }: typeof dense) => {
      const [share, latency] = [costs.macs / dense.costs.macs, measured[i] / measured[0]]
      return { macs: share, latency, ratio: latency / share }
    }
    return {
      denseMs: measured[0],
      ...against(1, eights),
      sixteens: against(2, sixteens),
      profiled: against(3, profiled),
      predictedOverMeasured: checks.map((c) => c.predictedMs / c.measuredMs),
    }
  } finally {
    child.close()
    await rm(folder, { recursive: true, force: true })
  }
}
