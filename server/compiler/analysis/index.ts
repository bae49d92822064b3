export type { Reason } from './atoms.js'
export { type Cost, costOf } from './cost.js'
export { type Coupling, couple, type Group, type Slice, type Unit, type Whole } from './coupling.js'
export { captureShapes, constants, type InputShapes, type Shapes, sampleInput, xorshift } from './shapes.js'
