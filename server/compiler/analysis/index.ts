export { arenaBytes } from './arena.js'
export type { Reason } from './atoms.js'
export { placementsOf } from './blocked.js'
export { type Block, blocksOf, edgesOf, isBlock } from './blocks.js'
export { type Cost, costOf } from './cost.js'
export { type Coupling, couple, type Group, type Slice, type Unit, type Whole } from './coupling.js'
export { type Allocation, allocationsOf } from './execution.js'
export { type Explanation, explain, type GroupExplained, type Undescribed } from './explain.js'
export type { BlockExplained } from './explain-blocks.js'
export { freedByBlock, freedByUnit } from './freed.js'
export { type KnownSizes, knownSizes } from './known-sizes.js'
export { type LayerAxes, layerAxes } from './layers.js'
export { type Buffer, buffersOf, liveBytes, peakActivationBytes } from './liveness.js'
export {
  coefficients,
  type Description,
  describe,
  expectedRam,
  type Footprint,
  footprintOf,
  type MemoryCoefficients,
  type MemoryParts,
  memoryFeatures,
  memoryParts,
  predictRam,
} from './memory.js'
export { type IndexPick, indexPicks } from './moves.js'
export { type Reach, reachOf } from './reach.js'
export { realOf, zeroOf } from './real.js'
export { captureShapes, constants, type InputShapes, type Shapes, sampleInput, xorshift } from './shapes.js'
export { numberOf, type Size } from './size.js'
export { stepsOf } from './steps.js'
export { type GroupKind, type GroupWords, wordsOf } from './words.js'
