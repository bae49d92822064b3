export { type AllocateOptions, type Allocation, allocate, floor } from './allocate.js'
export {
  BudgetUnreachable,
  type Costs,
  costsWithout,
  costWithout,
  type Expectations,
  type LatencyModel,
  type Limits,
  requireReachable,
} from './costs.js'
export { ladder } from './ladder.js'
