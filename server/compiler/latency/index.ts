export { latencyModel } from './model.js'
export { nothing, operatorsOf } from './operators.js'
export { readTimes } from './read.js'
