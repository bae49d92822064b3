export { classCounts, imbalance } from './balance.js'
export { BatchReader, batchOf, type Change, type Fed } from './batch-reader.js'
export {
  type Dataset,
  type Field,
  fieldsOf,
  identityOf,
  isLabelled,
  pick,
  sampleSize,
  staysOnDisk,
} from './dataset.js'
export { type DataFacts, describeData } from './describe.js'
export { HELD_BYTES, type LoadOptions, loadDataset } from './load.js'
export { type Preprocess, preprocessOf, withPreprocess } from './preprocess.js'
export { random, shuffled } from './random.js'
export { type DataSpec, parseSpec } from './spec.js'
export { holdOut, requireDistinct } from './split.js'
export type { Move } from './writer.js'
