export { type Limits, runChild } from './run.js'
export { serve } from './serve.js'
export { type Bounds, killGroup, watch } from './watch.js'
