import {
  interleave,
  type Latency,
  type MeasuringProcess,
  type ProcessOptions,
  type Profile,
  type Setup,
  type Shapes,
  withModel,
} from '@espalier/shared/measure/index.js'
import { availableBytes } from '../facts/index.js'

/** A model, how it is run, and what it added to a process when it was measured; null where that is not known. */
export interface Rival {
  readonly path: string
  readonly setup: Setup
  readonly shapes?: Shapes
  readonly memoryBytes: number | null
}

export interface InTurnOptions extends ProcessOptions {
  readonly profile: Profile
  readonly root: string
}

/** The share of the memory that is free which the rival's process may take. */
const ROOM = 0.9

/**
 * Times a model that has been loaded, and a rival in turn with it, so that both see the same temperature and load; null
 * where there is no memory for a second process.
 */
export async function inTurn(
  process: MeasuringProcess,
  { path, setup, shapes, memoryBytes }: Rival,
  options: InTurnOptions,
): Promise<{ readonly own: Latency; readonly its: Latency } | null> {
  const takes = process.ready.runtimeBaseBytes + (memoryBytes ?? Number.POSITIVE_INFINITY)
  if (takes > ROOM * availableBytes(options.root)) return null
  return withModel(path, { ...options, ...setup, shapes }, async (rival) => {
    const [own, its] = await interleave([process, rival], options.profile)
    return { own, its }
  })
}
