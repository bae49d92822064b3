/** Measuring a model's memory and latency in fresh processes. What runs inside them is in `child.js`. */
export { timeAlone, timeInTurn } from './alone.js'
export * from './machine.js'
export { type MachineProfileOptions, profileMachine } from './machine-profile.js'
export * from './measure.js'
export * from './operator-times.js'
export * from './percentiles.js'
export { allocatorSettings, MeasuringProcess, type ProcessOptions } from './process.js'
export {
  type Compared,
  type Latency,
  type Loaded,
  type Memory,
  type Profile,
  profiles,
  type Ready,
  type Shapes,
} from './protocol.js'
