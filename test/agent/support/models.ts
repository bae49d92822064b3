import { createHash } from 'node:crypto'
import { Graph, node, tensor } from '@espalier/server/compiler/graph/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'

export interface TestModel {
  readonly bytes: Buffer
  readonly variant: CatalogueVariant
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

/** A network that runs: `layers` times x ← relu(x·W), W of `width`², filled by a fixed sequence from `seed`. */
export function networkBytes(width: number, layers = 1, seed = 1): Buffer {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
  const weights = Array.from({ length: layers }, (_, i) => {
    const data = Float32Array.from({ length: width * width }, next)
    return [`w${i}`, tensor('float32', [width, width], data)] as const
  })
  const nodes = weights.flatMap(([name], i) => [
    node('MatMul', [i === 0 ? 'x' : `y${i}`, name], [`m${i}`]),
    node('Relu', [`m${i}`], [`y${i + 1}`]),
  ])
  const graph = new Graph({
    name: 'test',
    nodes,
    initializers: new Map(weights),
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', width] }],
    outputs: [{ name: `y${layers}`, dtype: 'float32', dims: ['batch', width] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
  return Buffer.from(writeModel(graph))
}

/** Bytes as a catalogue describes them. Nothing is said of memory unless `known` does. */
export function described(name: string, bytes: Buffer, known: Partial<CatalogueVariant> = {}): TestModel {
  const blockBytes = known.blockBytes ?? 4096
  const blocks: string[] = []
  for (let at = 0; at < bytes.length; at += blockBytes)
    blocks.push(sha256(bytes.subarray(at, at + blockBytes)))
  const variant: CatalogueVariant = {
    name,
    digest: sha256(bytes),
    bytes: bytes.length,
    blockBytes,
    blocks,
    memoryBudgetBytes: null,
    predictedRamBytes: null,
    measuredRamBytes: null,
    macs: null,
    params: null,
    top1: null,
    inputs: [],
    outputs: [],
    preprocess: null,
    labels: null,
    ...known,
  }
  return { bytes, variant }
}

/** A runnable model in its catalogue form. */
export const testModel = (name: string, width: number, known: Partial<CatalogueVariant> = {}, layers = 1) =>
  described(name, networkBytes(width, layers, width), known)
