import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'

/** What turns stored values into the network's inputs: `y = (x · scale − mean) / std`. */
export interface Preprocess {
  readonly scale: number
  /** One for all channels, or one a channel. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

const KEY = 'espalier.preprocess'

/**
 * The preprocessing that a model file carries, or undefined where it carries none.
 * @throws MODEL_INVALID if the metadata are there but broken.
 */
export function preprocessOf(graph: Graph): Preprocess | undefined {
  const text = graph.metadata.get(KEY)
  if (text === undefined) return undefined
  try {
    const { scale, mean, std } = JSON.parse(text) as Partial<Preprocess>
    return checked({ scale, mean, std })
  } catch (cause) {
    throw new EspalierError(
      'MODEL_INVALID',
      `the model's metadata '${KEY}' cannot be used: ${text.slice(0, 200)}`,
      {
        cause,
      },
    )
  }
}

/** The graph with the preprocessing written into its metadata, so that devices apply the same. */
export function withPreprocess(graph: Graph, preprocess: Preprocess | undefined): Graph {
  const metadata = new Map(graph.metadata)
  if (preprocess) metadata.set(KEY, JSON.stringify(preprocess))
  else metadata.delete(KEY)
  return graph.with({ metadata })
}

/**
 * What the user asked for, over what the model carries, over the default: 8-bit values are divided by 255, others
 * are used as they are. Undefined where nothing is to be done.
 * @throws OPTION_INVALID for numbers that cannot be used, or neither one nor one a channel.
 */
export function preprocessing(
  asked: Partial<Preprocess>,
  carried: Preprocess | undefined,
  bytes: boolean,
  channels: number,
): Preprocess | undefined {
  const base = carried ?? { scale: bytes ? 1 / 255 : 1, mean: [0], std: [1] }
  const given = Object.fromEntries(Object.entries(asked).filter(([, v]) => v !== undefined))
  const p = checked({ ...base, ...given })
  for (const [name, { length }] of [
    ['mean', p.mean],
    ['std', p.std],
  ] as const) {
    if (length !== 1 && length !== channels)
      throw new EspalierError(
        'OPTION_INVALID',
        `--${name} has ${length} numbers; give one, or one for each of the ${channels} channels`,
      )
  }
  const idle = p.scale === 1 && p.mean.every((m) => m === 0) && p.std.every((s) => s === 1)
  return idle ? undefined : p
}

function checked({ scale, mean, std }: Partial<Preprocess>): Preprocess {
  const numbers = (v: unknown): v is number[] =>
    Array.isArray(v) && v.length > 0 && v.length <= 4096 && v.every(Number.isFinite)
  if (!Number.isFinite(scale) || !numbers(mean) || !numbers(std) || std.some((s) => s === 0))
    throw new EspalierError(
      'OPTION_INVALID',
      `scale ${scale}, mean ${mean}, std ${std} cannot be applied as (x · scale − mean) / std; they must be numbers, std not 0`,
    )
  return { scale: scale as number, mean, std }
}
