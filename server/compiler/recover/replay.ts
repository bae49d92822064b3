import type { Graph, Tensor } from '../graph/index.js'
import { backFrom, openPart } from './part.js'
import type { Batches } from './samples.js'

/** Values that some questions ask for, batch by batch. */
export interface Opened {
  run(b: number): Promise<Record<string, Tensor>>
  /** To be called after every batch has run once, or none will be asked for any more. */
  close(): Promise<void>
}

/** How many bytes of values may be kept, by all replays together. */
export interface Room {
  left: number
}

/**
 * One network over all batches, a few values after the other, each computed from those before it that later ones still
 * need. These are kept as far as there is room; what did not fit is computed again from what did, or from the input.
 */
export class Replay {
  readonly #batches: Batches
  readonly #room: Room
  readonly #kept = new Map<string, Tensor[]>()
  #held = 0

  constructor(batches: Batches, room: Room) {
    this.#batches = batches
    this.#room = room
  }

  /**
   * @param graph which computes what was kept as it did when it was computed
   * @param later the values that will be asked for after these
   */
  async open(graph: Graph, wanted: readonly string[], later: readonly string[]): Promise<Opened> {
    const known = new Map([...this.#kept].map(([name, [first]]) => [name, first]))
    const part = await openPart(graph, wanted, known)
    const fed = graph.inputs.some(({ name }) => part.inputs.includes(name) || wanted.includes(name))
    let stays: ReadonlySet<string> | undefined
    return {
      run: async (b) => {
        const feeds = fed ? await this.#batches.feeds(b) : {}
        for (const [name, list] of this.#kept) if (known.has(name)) feeds[name] = list[b]
        const values = await part.run(feeds)
        stays ??= this.#choose(graph, values, later)
        for (const [name, list] of this.#kept) if (!stays.has(name)) delete list[b]
        for (const name of stays) {
          if (known.has(name)) continue
          const list = this.#kept.get(name) ?? []
          list[b] = values[name]
          this.#kept.set(name, list)
        }
        return values
      },
      close: async () => {
        for (const name of this.#kept.keys()) if (stays && !stays.has(name)) this.#kept.delete(name)
        this.#reserve(this.#bytes([...this.#kept].map(([, [first]]) => first)))
        await part.release()
      },
    }
  }

  /** Which of all values at hand stay for later ones: those that they are computed from, without the largest that do not fit. */
  #choose(graph: Graph, values: Record<string, Tensor>, later: readonly string[]): Set<string> {
    const at = new Map(Object.entries(values).filter(([name]) => !graph.inputs.some((i) => i.name === name)))
    for (;;) {
      const { read } = backFrom(
        graph,
        later.filter((name) => !at.has(name)),
        at,
      )
      const stays = [...at].filter(([name]) => read.has(name) || later.includes(name))
      const bytes = this.#bytes(stays.map(([, value]) => value))
      if (bytes <= this.#held + this.#room.left) {
        this.#reserve(Math.max(bytes, this.#held))
        return new Set(stays.map(([name]) => name))
      }
      const fresh = stays.filter(([name]) => !this.#kept.has(name))
      const [largest] = fresh.sort(([, a], [, b]) => b.data.byteLength - a.data.byteLength)
      at.delete(largest[0])
    }
  }

  #bytes(batch: readonly Tensor[]): number {
    return this.#batches.count * batch.reduce((sum, { data }) => sum + data.byteLength, 0)
  }

  #reserve(bytes: number): void {
    this.#room.left += this.#held - bytes
    this.#held = bytes
  }
}
