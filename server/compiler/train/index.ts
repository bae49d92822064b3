export { removeCheckpoint } from './checkpoint.js'
export { curvatures } from './curvature.js'
export { freshWeights } from './fresh.js'
export { gradientBatches } from './gradient-batches.js'
export { movements } from './movements.js'
export type {
  LossName,
  Samples,
  TrainHistory,
  TrainOptions,
  TrainProgress,
  TrainResult,
} from './options.js'
export { lossNameOf, lossNames } from './options.js'
export { withConstants } from './parameters.js'
export {
  keepLargest,
  keepPattern,
  type Pattern,
  type Scope,
  type SparsityPlan,
  scopes,
  sharesOf,
  sparsifyingMethods,
} from './sparse/index.js'
export { refreshStatistics } from './statistics.js'
export { train } from './train.js'
