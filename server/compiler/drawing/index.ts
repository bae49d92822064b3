export { draw } from './draw.js'
export type { Seen } from './layers.js'
export { type Axis, evenTicks, linePlot, percent, type Series, type Tick } from './plot.js'
