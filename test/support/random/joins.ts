import type { Step } from './growth.js'

/** Steps that join values, move elements about, or compute sizes: where indices have to be followed. */
export const joins: Readonly<Record<string, Step>> = {
  residual(g) {
    const x = g.last
    const other = g.earlier(x.size)
    if (!other) return false
    const fits = other.channels === x.channels
    const y = fits ? other.name : g.net.conv(other.name, other.channels, x.channels, { k: 1 })
    g.add(g.net.op(g.from(['Add', 'Add', 'Mul', 'Sub', 'Max']), [x.name, y]), x.channels)
    return true
  },
  concat(g) {
    const x = g.last
    const other = g.earlier(x.size)
    if (!other || x.channels + other.channels > 40) return false
    g.add(g.net.op('Concat', [x.name, other.name], { axis: g.from([1, -3]) }), x.channels + other.channels)
    return true
  },
  'split, one part changed'(g) {
    const { name, channels } = g.last
    if (channels < 2) return false
    const first = 1 + g.pick(channels - 1)
    const [a, b] = g.net.ops('Split', [name, g.net.ints([first, channels - first])], 2, { axis: 1 })
    const changed = g.from(['Relu', 'Sigmoid', 'Identity'])
    g.add(g.net.op('Concat', [g.net.op(changed, [b]), a], { axis: 1 }), channels)
    return true
  },
  'halves gate each other'(g) {
    const { name, channels } = g.last
    if (channels % 2 > 0) return false
    const [a, b] = g.net.ops('Split', [name], 2, { axis: 1 })
    g.add(g.net.op('Mul', [a, g.net.op('Sigmoid', [b])]), channels / 2)
    return true
  },
  'slice of channels'(g) {
    const { name, channels } = g.last
    if (channels < 3) return false
    const start = g.pick(channels - 2)
    const step = 1 + g.pick(2)
    const end = g.from([channels, Number.MAX_SAFE_INTEGER, channels - 1])
    const kept = Math.ceil((Math.min(end, channels) - start) / step)
    g.add(
      g.net.op('Slice', [name, g.net.ints([start]), g.net.ints([end]), g.net.ints([1]), g.net.ints([step])]),
      kept,
    )
    return true
  },
  'channels picked'(g) {
    const { name, channels } = g.last
    const order = Array.from({ length: channels }, () => g.pick(channels))
    const turned = Array.from({ length: channels }, (_, i) => channels - 1 - i)
    g.add(g.net.op('Gather', [name, g.net.ints(g.from([order, turned]))], { axis: 1 }), channels)
    return true
  },
  'channel shuffle'(g) {
    const { name, channels, size } = g.last
    const group = g.from([2, 3, 4].filter((d) => channels % d === 0))
    if (!group) return false
    const apart = g.net.op('Reshape', [name, g.net.ints([0, group, channels / group, size, size])])
    const turned = g.net.op('Transpose', [apart], { perm: [0, 2, 1, 3, 4] })
    g.add(g.net.op('Reshape', [turned, g.net.ints([0, channels, size, g.from([size, -1])])]), channels)
    return true
  },
  resize(g) {
    const { name, channels, size } = g.last
    if (size > 8) return false
    const mode = g.from(['nearest', 'linear'])
    g.add(g.net.op('Resize', [name, '', g.net.floats([4], [1, 1, 2, 2])], { mode }), channels, size * 2)
    return true
  },
  'pad of channels'(g) {
    const { name, channels } = g.last
    const [before, after] = [g.pick(3), g.pick(3)]
    g.add(g.net.op('Pad', [name, g.net.ints([0, before, 0, 0, 0, after, 0, 0])]), channels + before + after)
    return true
  },
  'pad and crop'(g) {
    const { name, channels } = g.last
    const mode = g.from(['constant', 'reflect', 'edge'])
    const padded = g.net.op('Pad', [name, g.net.ints([0, 0, 1, 1, 0, 0, 1, 1])], { mode })
    g.add(g.net.op('Slice', [padded, g.net.ints([1, 1]), g.net.ints([-1, -1]), g.net.ints([2, 3])]), channels)
    return true
  },
  'mean over channels taken off'(g) {
    const { name, channels } = g.last
    const axes = g.from([[1], [1], [2, 3], [1, 2, 3]])
    const op = g.from(['ReduceMean', 'ReduceMean', 'ReduceMax', 'ReduceL2'])
    g.add(g.net.op(g.from(['Sub', 'Add', 'Mul']), [name, g.net.op(op, [name], { axes })]), channels)
    return true
  },
  'sum over channels as a gate'(g) {
    const { name, channels } = g.last
    const sum = g.net.op('ReduceSum', [name, g.net.ints([1])])
    g.add(g.net.op('Mul', [name, g.net.op('Sigmoid', [sum])]), channels)
    return true
  },
  'mean spread again'(g) {
    const { name, channels } = g.last
    const wide = g.net.op('Expand', [g.net.op('GlobalAveragePool', [name]), g.net.op('Shape', [name])])
    g.add(g.net.op('Add', [name, wide]), channels)
    return true
  },
  'space to depth'(g) {
    const { name, channels, size } = g.last
    if (size % 2 > 0 || channels > 8) return false
    g.add(g.net.op('SpaceToDepth', [name], { blocksize: 2 }), channels * 4, size / 2)
    return true
  },
  'depth to space'(g) {
    const { name, channels, size } = g.last
    if (channels % 4 > 0 || size > 8) return false
    const mode = g.from(['DCR', 'CRD'])
    g.add(g.net.op('DepthToSpace', [name], { blocksize: 2, mode }), channels / 4, size * 2)
    return true
  },
  'there and back'(g) {
    const { name, channels } = g.last
    const axis = g.net.ints([g.from([1, 2, -1])])
    const apart = g.net.op('Unsqueeze', [name, axis])
    g.add(g.net.op('Squeeze', [g.net.op('Mul', [apart, apart]), axis]), channels)
    return true
  },
  'attention over positions'(g) {
    const { name, channels, size } = g.last
    if (size > 8) return false
    const heads = g.from([1, 2, 3])
    const width = 1 + g.pick(4)
    const all = heads * width
    const rows = g.net.op('Transpose', [g.net.op('Reshape', [name, g.net.ints([0, channels, -1])])], {
      perm: [0, 2, 1],
    })
    const project = (perm: number[]) => {
      const y = g.net.op('MatMul', [rows, g.net.weight([channels, all])])
      return g.net.op('Transpose', [g.net.op('Reshape', [y, g.net.ints([0, 0, heads, width])])], { perm })
    }
    const scores = g.net.op('MatMul', [project([0, 2, 1, 3]), project([0, 2, 3, 1])])
    const seen = g.net.op('MatMul', [g.net.op('Softmax', [scores], { axis: -1 }), project([0, 2, 1, 3])])
    const merged = g.net.op('Reshape', [
      g.net.op('Transpose', [seen], { perm: [0, 2, 1, 3] }),
      g.net.ints([0, 0, all]),
    ])
    const out = g.net.op('Add', [rows, g.net.op('MatMul', [merged, g.net.weight([all, channels])])])
    const back = g.net.op('Transpose', [out], { perm: [0, 2, 1] })
    g.add(g.net.op('Reshape', [back, g.net.ints([0, channels, size, size])]), channels)
    return true
  },
  'one where it is positive'(g) {
    const x = g.last
    const other = g.earlier(x.size, x.channels)
    if (!other) return false
    const positive = g.net.op('Greater', [x.name, g.net.scalar(0)])
    g.add(g.net.op('Where', [positive, x.name, other.name]), x.channels)
    return true
  },
  'quotient of two'(g) {
    const x = g.last
    const other = g.earlier(x.size, x.channels)
    if (!other) return false
    const above = g.net.op('Add', [g.net.op('Mul', [other.name, other.name]), g.net.scalar(1)])
    g.add(g.net.op('Div', [x.name, above]), x.channels)
    return true
  },
}
