export { type Amount, type PruneOptions, type PruneResult, prune } from './prune.js'
