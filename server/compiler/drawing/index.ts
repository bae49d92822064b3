export { draw } from './draw.js'
export type { Seen } from './layers.js'
