export { gradientBatches } from './gradient-batches.js'
export type {
  OptimizerName,
  Samples,
  ScheduleName,
  TrainHistory,
  TrainOptions,
  TrainProgress,
  TrainResult,
} from './options.js'
export { optimizerNames, scheduleNames } from './options.js'
export { withConstants } from './parameters.js'
export { refreshStatistics } from './statistics.js'
export { train } from './train.js'
