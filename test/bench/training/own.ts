import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { random } from '@espalier/server/compiler/data/index.js'
import { elementCount } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { openStep } from '@espalier/server/compiler/train/blocks.js'
import { adam } from '@espalier/server/compiler/train/optimizer.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'
import { Weights } from '@espalier/server/compiler/train/weights.js'
import * as ort from 'onnxruntime-node'
import { arraysOf, crossEntropy, oneHot, peersIn, TARGETS } from '../parts/peers.js'

/**
 * Training steps of one network as `peer.py time` does them, with the same protocol: node own.js FOLDER NETWORK BATCH;
 * a line "N" on stdin: N steps, then their seconds. Random inputs: nothing but the shapes matters to speed.
 */
const [folder, name, wanted] = process.argv.slice(2)
const batch = Number(wanted)
const peer = peersIn(folder).find((p) => p.name === name)
if (!peer) throw new Error(`there is no network '${name}' in ${folder}`)
const graph = await readModelFile(join(folder, `${name}.onnx`))
const sample = arraysOf(folder, peer).get('x')!.dims.slice(1)
const tg = await trainingGraph(graph, {
  shapes: new Map([['x', [batch, ...sample]]]),
  batchNorm: 'batch',
  loss: crossEntropy(peer.kind),
})
const weights = new Weights(graph, tg)
const parameters = weights.list.map((value) => ({ value, decay: 0 }))
const optimizer = adam(parameters, false)
const next = random(1)
const count = batch * elementCount(sample)
const feeds = weights.feeds()
const x = Float32Array.from({ length: count }, next)
feeds.x =
  peer.kind === 'tokens'
    ? new ort.Tensor(
        'int64',
        BigInt64Array.from(x, (v) => BigInt(Math.floor(v * peer.classes))),
        [batch, ...sample],
      )
    : new ort.Tensor('float32', x, [batch, ...sample])
const [{ dims }] = tg.outputs.values()
const labels = Int32Array.from({ length: elementCount(dims) / peer.classes }, () =>
  Math.floor(next() * peer.classes),
)
feeds[TARGETS] = new ort.Tensor('float32', oneHot(peer.kind, labels, dims), [...dims])
const session = await openStep(tg.graph)
let step = 0

async function once(): Promise<void> {
  const results = await session.run(feeds)
  const array = (output: string) => results[output].data as Float32Array
  optimizer.update(
    ++step,
    1e-5,
    weights.names.map((n) => array(tg.gradients.get(n)!)),
  )
  weights.average(step, array)
  for (const result of Object.values(results)) result.dispose()
}

const seconds = () => {
  const { user, system } = process.cpuUsage()
  return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 }
}

console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const before = seconds()
  for (let i = 0; i < Number(line); i++) await once()
  const after = seconds()
  const peakBytes = process.resourceUsage().maxRSS * 1024
  console.log(JSON.stringify({ wall: after.wall - before.wall, cpu: after.cpu - before.cpu, peakBytes }))
}
