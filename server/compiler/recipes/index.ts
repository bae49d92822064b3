export { fit } from './fit.js'
export type { DenseResult, FitOptions, FitResult, Progress, VariantResult } from './options.js'
export { type Amount, type PruneOptions, type PruneResult, prune } from './prune.js'
export { criterionNames } from './saliency.js'
