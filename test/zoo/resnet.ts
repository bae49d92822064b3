import { type Activation, type Architecture, convBn, linear, maxPool, relu, squeezeExcite } from './layers.js'
import { Net } from './net.js'

type Block = (n: Net, x: string, from: number, to: number, stride: number) => string

/** The shortcut: the identity where shapes agree, else a 1×1 convolution. */
const shortcut = (n: Net, x: string, from: number, to: number, stride: number): string =>
  from === to && stride === 1 ? x : convBn(n, x, from, to, { k: 1, stride, act: linear })

const basic: Block = (n, x, from, to, stride) => {
  const y = convBn(n, convBn(n, x, from, to, { stride }), to, to, { act: linear })
  return relu(n, n.op('Add', [y, shortcut(n, x, from, to, stride)]))
}

/** 1×1 down, 3×3 in groups, 1×1 up; optionally gated (RegNetY). */
const bottleneck =
  (inner: (to: number) => { width: number; group: number; squeezed?: number }): Block =>
  (n, x, from, to, stride) => {
    const { width, group, squeezed } = inner(to)
    const narrow = convBn(n, x, from, width, { k: 1 })
    const spread = convBn(n, narrow, width, width, { stride, group })
    const gated = squeezed ? squeezeExcite(n, spread, width, squeezed) : spread
    const y = convBn(n, gated, width, to, { k: 1, act: linear })
    return relu(n, n.op('Add', [y, shortcut(n, x, from, to, stride)]))
  }

/** He et al. 2016b: normalisation and activation before each convolution; the shortcut is never normalised. */
const preActivated: Block = (n, x, from, to, stride) => {
  const act: Activation = (m, v) => relu(m, v)
  const first = act(n, n.batchNorm(x, from))
  const short = from === to && stride === 1 ? x : n.conv(first, from, to, { k: 1, stride, bias: false })
  const y = n.conv(first, from, to, { stride, bias: false })
  const second = act(n, n.batchNorm(y, to))
  return n.op('Add', [n.conv(second, to, to, { bias: false }), short])
}

interface Plan {
  readonly block: Block
  readonly stem: number
  /** Channels and blocks of each stage. */
  readonly stages: readonly (readonly [channels: number, blocks: number])[]
  readonly size: number
  readonly classes: number
  /** ImageNet's stem: 7×7 at stride 2 and a pool. */
  readonly imageNet?: boolean
}

function residual(name: string, { block, stem, stages, size, classes, imageNet = false }: Plan) {
  const n = new Net(name)
  const image = n.input('x', ['n', 3, size, size])
  let x = imageNet
    ? maxPool(n, convBn(n, image, 3, stem, { k: 7, stride: 2 }), 3, 2, 1)
    : convBn(n, image, 3, stem)
  let from = stem
  for (const [s, [to, blocks]] of stages.entries()) {
    for (let b = 0; b < blocks; b++) {
      x = block(n, x, from, to, s > 0 && b === 0 ? 2 : 1)
      from = to
    }
  }
  return n.build(n.head(x, from, classes))
}

const small = { size: 16, classes: 5 }

export const resnets: readonly Architecture[] = [
  {
    name: 'ResNet basic',
    peculiarity: 'every block of a stage adds to one stream: its channels live or die together',
    make: () =>
      residual('ResNet basic', {
        block: basic,
        stem: 10,
        stages: [
          [10, 2],
          [20, 2],
          [30, 2],
        ],
        ...small,
      }),
  },
  {
    name: 'ResNet bottleneck',
    peculiarity: 'narrow channels inside a wide stream, each prunable by itself',
    make: () =>
      residual('ResNet bottleneck', {
        block: bottleneck((to) => ({ width: to / 4, group: 1 })),
        stem: 10,
        stages: [
          [40, 2],
          [80, 2],
        ],
        ...small,
      }),
  },
  {
    name: 'ResNet pre-activation',
    peculiarity: 'the stream itself is never normalised; each block normalises its own view of it',
    make: () =>
      residual('ResNet pre-activation', {
        block: preActivated,
        stem: 10,
        stages: [
          [10, 2],
          [20, 2],
        ],
        ...small,
      }),
  },
  {
    name: 'ResNeXt',
    peculiarity: 'grouped convolutions: groups, and evenly the channels in them, are the units',
    make: () =>
      residual('ResNeXt', {
        block: bottleneck((to) => ({ width: to / 2, group: 5 })),
        stem: 10,
        stages: [
          [40, 2],
          [80, 2],
        ],
        ...small,
      }),
  },
  {
    name: 'RegNet',
    peculiarity: 'grouped convolutions of a fixed group width, gated by squeeze-and-excitation',
    make: () =>
      residual('RegNet', {
        block: bottleneck((to) => ({ width: to, group: to / 8, squeezed: 10 })),
        stem: 10,
        stages: [
          [24, 1],
          [48, 2],
        ],
        ...small,
      }),
  },
]

/** ResNet-50 as torchvision has it: 25.6 million parameters, 1,000 classes; `size` is that of the image. */
export const resnet50 = (size = 224) =>
  residual('ResNet-50', {
    block: bottleneck((to) => ({ width: to / 4, group: 1 })),
    stem: 64,
    stages: [
      [256, 3],
      [512, 4],
      [1024, 6],
      [2048, 3],
    ],
    size,
    classes: 1000,
    imageNet: true,
  })
