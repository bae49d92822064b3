import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { berts } from './bert.js'
import { branching } from './branches.js'
import { convNeXts } from './convnext.js'
import * as convolutional from './convolutional.js'
import { detectors } from './detection.js'
import { gpts } from './gpt.js'
import { joined } from './joined.js'
import type { Architecture } from './layers.js'
import { mobiles } from './mobile.js'
import { plainStacks } from './plain-stacks.js'
import { quantizeds } from './quantized.js'
import { sequences } from './recurrent.js'
import { resnets } from './resnet.js'
import { shuffleNets } from './shufflenet.js'
import { swins } from './swin.js'
import * as transformer from './transformer.js'
import { visionTransformers } from './vit.js'

export type { Architecture } from './layers.js'
export { Net } from './net.js'

/** Small networks, each with something that pruning has to get right. */
export const zoo: readonly Graph[] = [...Object.values(convolutional), ...Object.values(transformer)].map(
  (make) => make(),
)

/** The field's architectures, small. */
export const architectures: readonly Architecture[] = [
  ...plainStacks,
  ...resnets,
  ...branching,
  ...mobiles,
  ...shuffleNets,
  ...convNeXts,
  ...visionTransformers,
  ...swins,
  ...berts,
  ...gpts,
  ...detectors,
  ...sequences,
  ...joined,
  ...quantizeds,
]

export const {
  plain,
  invertedResidual,
  paddedShortcut,
  concatSplit,
  groupedConvolution,
  channelShuffle,
  sharedWeights,
} = convolutional
export const { attention, fusedAttention } = transformer
