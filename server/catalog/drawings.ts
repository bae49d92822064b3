import { Readable } from 'node:stream'
import { asEspalierError } from '@espalier/shared'
import { type Limits, runChild } from '../child/index.js'
import type { ArtifactStore } from './artifacts.js'
import type { ToDraw } from './draw-model.js'

/** The digest of a stored SVG, or why there is none. */
export interface Drawn {
  readonly drawing: string | null
  readonly undrawn: string | null
}

const limits: Limits = { timeMs: 30_000, memoryBytes: 2 * 2 ** 30 }
const mostBytes = 16 * 2 ** 20

/**
 * Draws networks in a child process and stores the pictures. A network that cannot be drawn (it does not run with the
 * sizes that were guessed for its dynamic axes, or takes too long) is none the worse: the reason is kept instead.
 */
export class Drawings {
  constructor(private readonly artifacts: ArtifactStore) {}

  /** @throws DISK_FULL; CANCELLED if the signal says so */
  async draw(what: ToDraw, signal?: AbortSignal): Promise<Drawn> {
    const svg = await runChild(new URL('./draw-model.js', import.meta.url), what, {
      ...limits,
      signal,
    }).catch((thrown: unknown) => asEspalierError(thrown))
    if (signal?.aborted) throw svg
    if (typeof svg !== 'string')
      return { drawing: null, undrawn: svg instanceof Error ? svg.message : String(svg) }
    const staged = await this.artifacts.receive(Readable.from([Buffer.from(svg)]), mostBytes)
    await staged.keep()
    return { drawing: staged.digest, undrawn: null }
  }
}
