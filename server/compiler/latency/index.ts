export { latencyModel } from './model.js'
export { nothing, operatorsOf } from './operators.js'
export { isOfHere, readTimes } from './read.js'
