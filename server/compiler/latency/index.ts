export { latencyModel } from './model.js'
export { operatorsOf } from './operators.js'
export { isOfHere, readTimes } from './read.js'
