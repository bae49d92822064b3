export { gradientBatches } from './gradient-batches.js'
export type { Samples, TrainHistory, TrainOptions, TrainProgress, TrainResult } from './options.js'
export { refreshStatistics } from './statistics.js'
export { train } from './train.js'
