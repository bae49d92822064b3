import type { Variants } from './catalog/index.js'
import type { Offer } from './delivery/index.js'

/** The variants of a model version that are not withdrawn, as the signed catalogue says them; equal bytes once. */
export function offersOf(variants: Variants): (model: string, version: number) => Offer[] {
  return (model, version) => {
    const byDigest = new Map(variants.offered(model, version).map((v) => [v.digest, v]))
    return [...byDigest.values()].map((v) => ({
      name: v.name,
      digest: v.digest,
      memoryBudgetBytes: v.memoryBudgetBytes,
      predictedRamBytes: v.predictedRamBytes,
      measuredRamBytes: v.measuredRamBytes,
      macs: v.macs,
      params: v.params,
      top1: v.top1 !== null && v.n ? { value: v.top1, n: v.n } : null,
      inputs: v.inputs,
      outputs: v.outputs,
      preprocess: v.preprocess,
      labels: v.labels,
      golden: v.golden,
    }))
  }
}
