export { type Check, checkPruning } from './check.js'
export { type Plan, type Prunable, planOf, prunable, pruned, verifyShapes } from './prunable.js'
export { removeUnits, touched, zeroUnits } from './remove-units.js'
export { copyName, rejoinConstants, type Separated, separateConstants } from './separate-constants.js'
