import { type Architecture, convBn, cut, linear, maxPool, relu, silu, sizeOf, view } from './layers.js'
import { Net } from './net.js'

const doubled = (n: Net, x: string) =>
  n.op('Resize', [x, '', n.floats([4], [1, 1, 2, 2])], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
  })

/** YOLOv8's C2f or YOLOv5's C3: channels split in two, one part through bottlenecks, all parts appended. */
function csp(n: Net, x: string, from: number, to: number, blocks: number, shortcut = true): string {
  const half = to / 2
  const act = silu
  const [a, b] = n.ops('Split', [convBn(n, x, from, to, { k: 1, act }), n.ints([half, half])], 2, { axis: 1 })
  const parts = [a, b]
  for (let i = 0; i < blocks; i++) {
    const last = parts[parts.length - 1]
    const y = convBn(n, convBn(n, last, half, half, { act }), half, half, { act })
    parts.push(shortcut ? n.op('Add', [last, y]) : y)
  }
  return convBn(n, n.op('Concat', parts, { axis: 1 }), half * parts.length, to, { k: 1, act })
}

/** Wang et al. 2023 (YOLOv7): one path of convolutions whose every second result is appended. */
function elan(n: Net, x: string, from: number, to: number): string {
  const [act, inner] = [silu, 10]
  const parts = [convBn(n, x, from, inner, { k: 1, act }), convBn(n, x, from, inner, { k: 1, act })]
  let last = parts[1]
  for (let i = 0; i < 2; i++) {
    last = convBn(n, convBn(n, last, inner, inner, { act }), inner, inner, { act })
    parts.push(last)
  }
  return convBn(n, n.op('Concat', [...parts].reverse(), { axis: 1 }), 4 * inner, to, { k: 1, act })
}

/** Pools of one size in a chain, each appended (SPPF). */
function pyramid(n: Net, x: string, channels: number): string {
  const narrow = convBn(n, x, channels, channels / 2, { k: 1, act: silu })
  const parts = [narrow]
  for (let i = 0; i < 3; i++) parts.push(maxPool(n, parts[i], 5, 1, 2))
  return convBn(n, n.op('Concat', parts, { axis: 1 }), channels * 2, channels, { k: 1, act: silu })
}

const CLASSES = 3
const BINS = 4

/** YOLOv8: boxes as distributions over bins, taken to distances by Softmax and a fixed 1×1 convolution. */
function yoloCsp() {
  const n = new Net('YOLO CSP')
  const act = silu
  let x = convBn(n, n.input('x', ['n', 3, 32, 32]), 3, 10, { stride: 2, act })
  x = csp(n, convBn(n, x, 10, 20, { stride: 2, act }), 20, 20, 1)
  const fine = x
  x = pyramid(n, csp(n, convBn(n, x, 20, 40, { stride: 2, act }), 40, 40, 2), 40)
  const up = csp(n, n.op('Concat', [doubled(n, x), fine], { axis: 1 }), 60, 20, 1, false)
  const down = convBn(n, up, 20, 20, { stride: 2, act })
  const low = csp(n, n.op('Concat', [down, x], { axis: 1 }), 60, 40, 1, false)
  const head = (y: string, from: number, cells: number) => {
    const box = n.conv(convBn(n, y, from, 20, { act }), 20, 4 * BINS, { k: 1 })
    const kind = n.conv(convBn(n, y, from, 10, { act }), 10, CLASSES, { k: 1 })
    return view(n, n.op('Concat', [box, kind], { axis: 1 }), sizeOf(n, y, 0), 4 * BINS + CLASSES, cells)
  }
  const all = n.op('Concat', [head(up, 20, 64), head(low, 40, 16)], { axis: 2 })
  const [box, kind] = n.ops('Split', [all, n.ints([4 * BINS, CLASSES])], 2, { axis: 1 })
  const bins = n.op('Transpose', [view(n, box, sizeOf(n, box, 0), 4, BINS, 80)], { perm: [0, 2, 1, 3] })
  const distance = n.op('Conv', [
    n.op('Softmax', [bins], { axis: 1 }),
    n.floats([1, BINS, 1, 1], [0, 1, 2, 3]),
  ])
  const sides = view(n, distance, sizeOf(n, distance, 0), 4, 80)
  const anchors = n.weight([1, 2, 80])
  const near = n.op('Sub', [anchors, cut(n, sides, 1, 0, 2)])
  const far = n.op('Add', [anchors, cut(n, sides, 1, 2, 4)])
  const centre = n.op('Div', [n.op('Add', [near, far]), n.scalar(2)])
  const boxes = n.op('Concat', [centre, n.op('Sub', [far, near])], { axis: 1 })
  return n.build(n.op('Concat', [boxes, n.op('Sigmoid', [kind])], { axis: 1 }))
}

/** YOLOv7: ELAN blocks; anchors' predictions reshaped, split and scaled by fixed grids. */
function yoloElan() {
  const n = new Net('YOLO ELAN')
  const act = silu
  let x = convBn(n, n.input('x', ['n', 3, 32, 32]), 3, 10, { stride: 2, act })
  x = elan(n, convBn(n, x, 10, 20, { stride: 2, act }), 20, 40)
  const pooled = convBn(n, maxPool(n, x), 40, 20, { k: 1, act })
  const strided = convBn(n, convBn(n, x, 40, 20, { k: 1, act }), 20, 20, { stride: 2, act })
  x = elan(n, n.op('Concat', [strided, pooled], { axis: 1 }), 40, 40)
  const [anchors, fields] = [2, 5 + CLASSES]
  const raw = n.conv(x, 40, anchors * fields, { k: 1 })
  const apart = n.op('Transpose', [view(n, raw, sizeOf(n, raw, 0), anchors, fields, 4, 4)], {
    perm: [0, 1, 3, 4, 2],
  })
  const [centre, size, rest] = n.ops('Split', [n.op('Sigmoid', [apart]), n.ints([2, 2, fields - 4])], 3, {
    axis: 4,
  })
  const xy = n.op('Add', [n.op('Mul', [centre, n.scalar(16)]), n.weight([1, 1, 4, 4, 2])])
  const wh = n.op('Mul', [
    n.op('Pow', [n.op('Mul', [size, n.scalar(2)]), n.scalar(2)]),
    n.weight([1, anchors, 1, 1, 2]),
  ])
  const joined = n.op('Concat', [xy, wh, rest], { axis: 4 })
  return n.build(view(n, joined, sizeOf(n, raw, 0), anchors * 16, fields))
}

/** Liu et al. 2016 over a small backbone: two maps, boxes decoded against fixed anchors, suppressed by overlap. */
function ssd() {
  const n = new Net('SSD')
  const x = n.input('x', [1, 3, 32, 32])
  const first = convBn(n, convBn(n, x, 3, 10, { stride: 2 }), 10, 20, { stride: 2 })
  const second = convBn(n, first, 20, 40, { stride: 2 })
  const flat = (y: string, from: number, to: number, cells: number) => {
    const rows = n.op('Transpose', [n.conv(y, from, 2 * to)], { perm: [0, 2, 3, 1] })
    return n.op('Reshape', [rows, n.ints([1, cells * 2, to])])
  }
  const places = n.op('Concat', [flat(first, 20, 4, 64), flat(second, 40, 4, 16)], { axis: 1 })
  const kinds = n.op('Concat', [flat(first, 20, CLASSES, 64), flat(second, 40, CLASSES, 16)], { axis: 1 })
  const scores = n.op('Transpose', [n.op('Softmax', [kinds], { axis: -1 })], { perm: [0, 2, 1] })
  const centre = n.op('Add', [n.op('Mul', [cut(n, places, 2, 0, 2), n.scalar(0.1)]), n.weight([1, 160, 2])])
  const size = n.op('Exp', [n.op('Mul', [cut(n, places, 2, 2, 4), n.scalar(0.2)])])
  const half = n.op('Div', [size, n.scalar(2)])
  const boxes = n.op('Concat', [n.op('Sub', [centre, half]), n.op('Add', [centre, half])], { axis: 2 })
  const limits = [n.constant('most', { dtype: 'int64', dims: [1], data: BigInt64Array.of(10n) })]
  const chosen = n.op('NonMaxSuppression', [
    boxes,
    scores,
    ...limits,
    n.floats([1], [0.5]),
    n.floats([1], [0.3]),
  ])
  return n.build(boxes, scores, n.op('Cast', [chosen], { to: 1 }))
}

/** Ronneberger et al. 2015: down and up again, each level appended to what comes from below. */
function uNet() {
  const n = new Net('U-Net')
  const twice = (x: string, from: number, to: number) => convBn(n, convBn(n, x, from, to), to, to)
  const up = (x: string, from: number, to: number) =>
    n.op('ConvTranspose', [x, n.weight([from, to, 2, 2]), n.weight([to])], { strides: [2, 2] })
  const a = twice(n.input('x', ['n', 3, 'height', 'width']), 3, 10)
  const b = twice(maxPool(n, a), 10, 20)
  const c = twice(maxPool(n, b), 20, 40)
  const d = twice(n.op('Concat', [b, up(c, 40, 20)], { axis: 1 }), 40, 20)
  const e = twice(n.op('Concat', [a, up(d, 20, 10)], { axis: 1 }), 20, 10)
  return n.build(n.conv(relu(n, convBn(n, e, 10, 10, { act: linear })), 10, 2, { k: 1 }))
}

export const detectors: readonly Architecture[] = [
  {
    name: 'YOLO CSP',
    peculiarity: 'channels split, one part through blocks, all appended; a head of distributions over bins',
    make: yoloCsp,
  },
  {
    name: 'YOLO ELAN',
    peculiarity: 'many results of one path appended; anchors as factors of the last channels',
    make: yoloElan,
  },
  {
    name: 'SSD',
    peculiarity: 'heads on two maps, a tail that suppresses by overlap and gives a shape of its own',
    make: ssd,
  },
  {
    name: 'U-Net',
    peculiarity: 'channels skip to the other side, where they are appended; height and width are dynamic',
    make: uNet,
  },
]
