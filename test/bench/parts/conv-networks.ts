import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from '../../zoo/index.js'

const shared = '../shared/models'
/** Trained networks by file; those of the shared folder are not always there. */
export const files: Readonly<Record<string, string>> = {
  sample: 'deploy/sample/digits.onnx',
  resnet20: `${shared}/resnet20-cifar10.onnx`,
  resnet8: `${shared}/mlperf-resnet8.onnx`,
  kws: `${shared}/mlperf-kws.onnx`,
  blazeface: `${shared}/blazeface-front.onnx`,
}

/** Networks at realistic width, random weights. */
export const built: Readonly<Record<string, () => Graph>> = { vgg, mobilenet }

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
