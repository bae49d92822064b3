import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { elementCount, floats, type Tensor, tensor } from '@espalier/server/compiler/graph/index.js'
import type { LossOf } from '@espalier/server/compiler/train/loss.js'

/** A network that `test/bench/training/peer.py export` wrote, with what PyTorch says of it. */
export interface Peer {
  readonly name: string
  readonly kind: 'images' | 'tokens'
  readonly classes: number
}

interface Place {
  readonly type: 'float32' | 'int32'
  readonly dims: readonly number[]
  readonly at: number
}

export const FOLDER = '.build/bench/training'

/** @throws saying how to write them, where they are absent */
export function peersIn(folder: string): readonly Peer[] {
  const index = join(folder, 'index.json')
  if (!existsSync(index))
    throw new Error(
      `there is no ${index}; write it first: python3 test/bench/training/peer.py export ${folder}`,
    )
  return JSON.parse(readFileSync(index, 'utf8'))
}

/** The arrays beside a network: its batch `x` and `labels`, losses and gradients by mode and parameter. */
export function arraysOf(folder: string, { name }: Peer): ReadonlyMap<string, Tensor> {
  const bytes = readFileSync(join(folder, `${name}.bin`))
  const index: Record<string, Place> = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  return new Map(
    Object.entries(index).map(([key, { type, dims, at }]) => {
      const copy = bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * elementCount(dims))
      return [
        key,
        type === 'int32' ? tensor('int32', dims, new Int32Array(copy)) : floats(dims, new Float32Array(copy)),
      ]
    }),
  )
}

export const TARGETS = 'targets'

/** Mean cross-entropy over everything but the classes, which are the last axis of tokens and the second of images. */
export const crossEntropy =
  (kind: Peer['kind']): LossOf =>
  ({ g, outputs, input }) => {
    const [{ logits, dims }] = outputs.values()
    const axis = kind === 'tokens' ? dims.length - 1 : 1
    const targets = input(TARGETS, 'float32', dims)
    const all = dims.map((_, i) => i)
    const total = g.sum(g.mul(targets, g.op('LogSoftmax', [logits], { axis })), all)
    return g.scale(total, -dims[axis] / elementCount(dims))
  }

/** Ones at the labels, zeros elsewhere; `labels` have the logits' shape without the classes. */
export function oneHot(kind: Peer['kind'], labels: ArrayLike<number>, dims: readonly number[]): Float32Array {
  const axis = kind === 'tokens' ? dims.length - 1 : 1
  const [classes, after] = [dims[axis], elementCount(dims.slice(axis + 1))]
  const targets = new Float32Array(elementCount(dims))
  for (let i = 0; i < labels.length; i++)
    targets[(Math.floor(i / after) * classes + labels[i]) * after + (i % after)] = 1
  return targets
}
