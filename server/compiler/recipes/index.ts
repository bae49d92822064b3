export { fit } from './fit.js'
export { frontierPlot } from './frontier-plot.js'
export type { DenseResult, FitOptions, FitResult, Progress, VariantResult } from './options.js'
export { type ProfileOptions, type ProfileResult, profile } from './profile.js'
export { type Amount, type PruneOptions, type PruneResult, prune } from './prune.js'
export { nameOf } from './run.js'
export { FolderShelf, noShelf, type Shelf } from './shelf.js'
export {
  type SparseLayer,
  type SparsifyOptions,
  type SparsifyResult,
  sparseLayers,
  sparsify,
  sparsifyCriteria,
} from './sparsify.js'
export { measuredStep, STEPS } from './step.js'
export { type Round, type TicketOptions, type TicketResult, ticket } from './ticket.js'
export { ticketPlot } from './ticket-plot.js'
