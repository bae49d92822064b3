export { type Limits, runChild } from './run.js'
export { serve } from './serve.js'
