import type { Variants } from './catalog/index.js'
import type { Offer } from './delivery/index.js'
import type { Variant } from './http/schemas/index.js'

/**
 * The variants of a model version that are not withdrawn, as the signed catalogue says them; equal bytes once. What was
 * compiled for boards that need less than this machine measured above its budget here: then the budget, which is what
 * such a board is expected to need at most, is offered in place of the measurement.
 */
export function offersOf(variants: Variants): (model: string, version: number) => Offer[] {
  return (model, version) => {
    const byDigest = new Map(variants.offered(model, version).map((v) => [v.digest, v]))
    return [...byDigest.values()].map((v) => ({
      name: v.name,
      digest: v.digest,
      memoryBudgetBytes: v.memoryBudgetBytes,
      ...memoryOf(v),
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

function memoryOf({ memoryBudgetBytes: budget, predictedRamBytes, measuredRamBytes }: Variant) {
  return budget !== null && measuredRamBytes !== null && measuredRamBytes > budget
    ? { predictedRamBytes: budget, measuredRamBytes: null }
    : { predictedRamBytes, measuredRamBytes }
}
