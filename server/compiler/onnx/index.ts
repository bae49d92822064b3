export { readModelFile, writeModelFile } from './file.js'
export { readModel } from './read.js'
export type { ExternalData } from './tensor.js'
export { writeModel } from './write.js'
