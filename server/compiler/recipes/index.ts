export { fit } from './fit.js'
export type { DenseResult, FitOptions, FitResult, Progress, VariantResult } from './options.js'
export { type Amount, criterionNames, type PruneOptions, type PruneResult, prune } from './prune.js'
