import { toBinary } from '@bufbuild/protobuf'
import { xorshift } from '@espalier/server/compiler/analysis/index.js'
import { type ModelProto, ModelProtoSchema } from 'onnx-buf'
import { bases, largeBase, largeBases } from './bases.js'
import { damages, pick } from './bytes.js'
import { changes } from './structure.js'

export interface Mutant {
  readonly base: string
  /** What was done to it. */
  readonly kind: string
  readonly bytes: Uint8Array
}

/** The hostile file of a seed: odd seeds damage bytes, even ones what the model says. One in fifty is of a trained network. */
export function mutant(seed: number): Mutant {
  const random = xorshift(seed)
  for (let k = 0; k < 5; k++) random()
  const large = random() < 0.02 && largeBases.length > 0
  const base = pick(random, large ? largeBases : Object.keys(bases))
  const model: ModelProto = large ? largeBase(base) : bases[base]()
  // Some exporters write weights as nodes; changes look for them among the initializers.
  if (seed % 2 === 0 && model.graph?.initializer.length) {
    const kind = pick(random, Object.keys(changes))
    changes[kind](model, random)
    // Sometimes a second change meets the first.
    if (
      random() < 0.15 &&
      model.graph?.node.length &&
      model.graph.initializer.length &&
      model.graph.input.length
    )
      changes[pick(random, Object.keys(changes))](model, random)
    return { base, kind, bytes: toBinary(ModelProtoSchema, model) }
  }
  const kind = pick(random, Object.keys(damages))
  return { base, kind, bytes: damages[kind](toBinary(ModelProtoSchema, model), random) }
}
