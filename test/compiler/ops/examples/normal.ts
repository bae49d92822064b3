import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, type Examples, map, SIZE, sequence, through } from './through.js'

/** Statistics over the channels: zeros are put back before they are taken, or the channels stay whole. */
const overChannels = (op: string, parameters: number, { opset = 17, domain = '', skip = false } = {}) =>
  sequence(
    (n, h) => {
      const weights = Array.from({ length: parameters }, () => n.weight([CHANNELS]))
      return n.op(op, [h, ...(skip ? [h] : []), ...weights], {}, domain)
    },
    { opset },
  )

/** Group normalisation as exporters write it before opset 18. */
function spelledGroups(n: Net, h: string, groups: number): string {
  const apart = n.op('Reshape', [h, n.ints([0, groups, -1])])
  const normal = n.op('InstanceNormalization', [apart, n.weight([groups]), n.weight([groups])])
  const back = n.op('Reshape', [normal, n.op('Shape', [h])])
  return n.op('Add', [n.op('Mul', [back, n.weight([CHANNELS, 1, 1])]), n.weight([CHANNELS, 1, 1])])
}

export const normal: Examples = {
  BatchNormalization: [through((n, h) => n.batchNorm(h, CHANNELS))],
  InstanceNormalization: [
    through((n, h) => n.op('InstanceNormalization', [h, n.weight([CHANNELS]), n.weight([CHANNELS])])),
  ],
  LayerNormalization: [
    overChannels('LayerNormalization', 1),
    overChannels('LayerNormalization', 2),
    // What comes in is not zero where its weights are.
    sequence(
      (n, h) =>
        n.op('LayerNormalization', [n.op('Sigmoid', [h]), n.weight([CHANNELS]), n.weight([CHANNELS])]),
      { open: false },
    ),
    // The mean is read as well.
    sequence(
      (n, h) => {
        const [y, mean] = n.ops('LayerNormalization', [h, n.weight([CHANNELS])], 2)
        return n.op('Add', [y, mean])
      },
      { open: false },
    ),
    through((n, h) => n.op('LayerNormalization', [h, n.weight([SIZE, SIZE])], { axis: 2 })),
    through((n, h) => n.op('LayerNormalization', [h, n.weight([CHANNELS, SIZE, SIZE])], { axis: 1 }), {
      open: false,
    }),
  ],
  RMSNormalization: [
    through((n, h) => n.op('RMSNormalization', [h, n.weight([SIZE])]), { opset: 23 }),
    overChannels('RMSNormalization', 1, { opset: 23 }),
  ],
  SimplifiedLayerNormalization: [overChannels('SimplifiedLayerNormalization', 1)],
  'com.microsoft.SkipLayerNormalization': [
    overChannels('SkipLayerNormalization', 3, { domain: MICROSOFT, skip: true }),
  ],
  'com.microsoft.SkipSimplifiedLayerNormalization': [
    overChannels('SkipSimplifiedLayerNormalization', 2, { domain: MICROSOFT, skip: true }),
  ],
  GroupNormalization: [
    through((n, h) => n.op('GroupNormalization', [h, n.weight([3]), n.weight([3])], { num_groups: 3 }), {
      opset: 18,
    }),
    through(
      (n, h) =>
        n.op('GroupNormalization', [h, n.weight([CHANNELS]), n.weight([CHANNELS])], { num_groups: 3 }),
      { opset: 21 },
    ),
    through((n, h) => spelledGroups(n, h, 3)),
    through((n, h) => spelledGroups(n, h, 1), { open: false }),
  ],
  MeanVarianceNormalization: [
    through(
      (n, h) =>
        n.op('MeanVarianceNormalization', [n.op('Add', [h, n.weight([CHANNELS, SIZE, SIZE])])], {
          axes: [2, 3],
        }),
      { open: false },
    ),
  ],
  LpNormalization: [
    map('LpNormalization', 17, { axis: 2 }),
    map('LpNormalization', 17, { axis: 1 }),
    through((n, h) => n.op('LpNormalization', [n.op('Sigmoid', [h])], { axis: 1 }), { open: false }),
  ],
  CumSum: [
    through((n, h) => n.op('CumSum', [h, n.ints([1])])),
    through((n, h) => n.op('CumSum', [n.op('Exp', [h]), n.ints([1])]), { open: false }),
  ],
  CumProd: [through((n, h) => n.op('CumProd', [h, n.ints([2])]), { opset: 26 })],
  Trilu: [map('Trilu', 17, { upper: 0 })],
  ReverseSequence: [
    sequence((n, h) => n.op('ReverseSequence', [h, n.ints([3, 9])], { batch_axis: 0, time_axis: 1 })),
  ],
  LRN: [through((n, h) => n.op('LRN', [h], { size: 3 }), { open: false })],
  Softmax: [
    through((n, h) => n.op('Softmax', [h], { axis: -1 })),
    through((n, h) => n.op('Softmax', [h], { axis: 1 }), { open: false }),
    through((n, h) => n.op('Softmax', [h], { axis: 2 }), { opset: 11 }),
    through((n, h) => n.op('Softmax', [h], { axis: 1 }), { opset: 11, open: false }),
  ],
  LogSoftmax: [through((n, h) => n.op('LogSoftmax', [h], { axis: -1 }))],
  Hardmax: [through((n, h) => n.op('Hardmax', [h], { axis: -1 }))],
}
