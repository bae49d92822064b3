import type { Graph } from '@espalier/server/compiler/graph/index.js'
import * as convolutional from './convolutional.js'
import * as transformer from './transformer.js'

export { Net } from './net.js'

/** Small networks, each with something that pruning has to get right. */
export const zoo: readonly Graph[] = [...Object.values(convolutional), ...Object.values(transformer)].map(
  (make) => make(),
)

export const { plain, invertedResidual, paddedShortcut, groupedConvolution, channelShuffle, sharedWeights } =
  convolutional
export const { attention, fusedAttention } = transformer
