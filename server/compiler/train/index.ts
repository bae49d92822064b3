export { gradientBatches } from './gradient-batches.js'
export type { Samples, Train, TrainHistory, TrainOptions, TrainProgress, TrainResult } from './options.js'
export { refreshStatistics } from './statistics.js'
export { train } from './train.js'
