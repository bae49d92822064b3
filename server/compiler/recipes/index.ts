export { fit } from './fit.js'
export { type LimitLists, variantLimits } from './limits.js'
export type { DenseResult, FitOptions, FitResult, Progress, VariantLimits, VariantResult } from './options.js'
export { type Amount, criterionNames, type PruneOptions, type PruneResult, prune } from './prune.js'
