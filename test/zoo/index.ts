import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { berts } from './bert.js'
import * as convolutional from './convolutional.js'
import type { Architecture } from './layers.js'
import { resnets } from './resnet.js'
import * as transformer from './transformer.js'

export type { Architecture } from './layers.js'
export { Net } from './net.js'

/** Small networks, each with something that pruning has to get right. */
export const zoo: readonly Graph[] = [...Object.values(convolutional), ...Object.values(transformer)].map(
  (make) => make(),
)

/** The field's architectures, small. */
export const architectures: readonly Architecture[] = [...resnets, ...berts]

export const { plain, invertedResidual, paddedShortcut, groupedConvolution, channelShuffle, sharedWeights } =
  convolutional
export const { attention, fusedAttention } = transformer
