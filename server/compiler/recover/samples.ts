import { EspalierError } from '@espalier/shared'
import { BatchReader, type Dataset, fieldsOf, shuffled } from '../data/index.js'
import { type Graph, type Tensor, tensor } from '../graph/index.js'

/** How many inputs are looked at where nobody says. */
export const SAMPLES = 1024
const LEAST = 20
/** One batch of so many is held out. */
const HELD = 5

/** Batches of inputs to look at; their labels are not. */
export interface Batches {
  /** Samples in all batches together. */
  readonly samples: number
  readonly count: number
  /** Samples in each. */
  readonly size: number
  /** Whether a batch is among the fifth that nothing is fitted to. */
  isHeld(b: number): boolean
  feeds(b: number): Promise<Record<string, Tensor>>
}

/**
 * @param graph whose inputs take the data
 * @throws DATA_INVALID for fewer than 20 samples, DATA_SHAPE_MISMATCH where they do not fit the input
 */
export function batchesOf(graph: Graph, data: Dataset, { samples = SAMPLES, seed = 0 } = {}): Batches {
  const [first] = graph.inputs
  const fields = new Map(fieldsOf(data, first?.name ?? ''))
  const fits =
    graph.inputs.length === fields.size &&
    graph.inputs.every(({ name, dims, dtype }) => {
      const field = fields.get(name)
      const isFixed = (d: unknown): d is number => typeof d === 'number'
      return (
        field &&
        (field.dtype ?? 'float32') === dtype &&
        dims?.length === field.dims.length + 1 &&
        field.dims.every((d, i) => !isFixed(dims[i + 1]) || dims[i + 1] === d)
      )
    })
  if (!fits)
    throw new EspalierError(
      'DATA_SHAPE_MISMATCH',
      `a sample of '${data.spec}' is [${data.dims}], but the network takes ${graph.inputs.map((i) => `${i.name} [${i.dims}]`).join('; ')}`,
    )
  const { batch, count, wanted } = divided(graph, data, samples)
  if (!isEnough(wanted, count))
    throw new EspalierError(
      'DATA_INVALID',
      `'${data.spec}' has ${data.count} samples, too few to see what a network computes; give at least ${Math.max(LEAST, HELD * batch)}`,
    )
  const chosen = shuffled(data.count, seed).subarray(0, count * batch)
  return {
    samples: count * batch,
    count,
    size: batch,
    isHeld: (b) => b % HELD === HELD - 1,
    async feeds(b) {
      const reader = new BatchReader(data, batch, first.name)
      await reader.read(chosen.subarray(b * batch, (b + 1) * batch))
      const tensors = [...reader.fed].map(([name, { dtype, dims, data }]) => [
        name,
        tensor(dtype, dims, data),
      ])
      return Object.fromEntries(tensors)
    },
  }
}

/** Whether data hold samples enough for repair: 20, and five batches where the network fixes their size. */
export function hasEnough(graph: Graph, data: Dataset): boolean {
  const { wanted, count } = divided(graph, data, SAMPLES)
  return isEnough(wanted, count)
}

const isEnough = (samples: number, batches: number) => samples >= LEAST && batches >= HELD

function divided(graph: Graph, data: Dataset, samples: number) {
  const fixed = graph.inputs[0]?.dims?.[0]
  const wanted = Math.min(samples, data.count)
  const batch = typeof fixed === 'number' ? fixed : Math.max(1, Math.min(32, Math.floor(wanted / 10)))
  return { batch, count: Math.floor(wanted / batch), wanted }
}
