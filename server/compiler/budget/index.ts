export { type Allocation, after, allocate, BudgetUnreachable, type Limits } from './allocate.js'
export { costWithout, type Resource } from './estimate.js'
export { ladder } from './ladder.js'
export { type Thinning, thinning } from './thinning.js'
