import { setImmediate } from 'node:timers/promises'
import type { Graph } from '../graph/index.js'
import { openPart } from './part.js'
import type { Batches } from './samples.js'

/** Sums over samples of one output: its error, and by element its values and their squares. */
interface Sums {
  error: number
  readonly value: Float64Array
  readonly square: Float64Array
}

/**
 * Mean squared error of a network's outputs against another's on held-out inputs, as a share of the variance that the
 * other's elements have from sample to sample. Outputs that are not float32 do not count.
 */
export async function outputError(
  dense: Graph,
  graph: Graph,
  batches: Batches,
  signal?: AbortSignal,
): Promise<number> {
  const names = dense.outputs.filter((o) => o.dtype === 'float32').map((o) => o.name)
  const [one, two] = [await openPart(dense, names), await openPart(graph, names)]
  const sums = new Map<string, Sums>()
  let samples = 0
  try {
    for (let b = 0; b < batches.count; b++) {
      if (!batches.isHeld(b)) continue
      await setImmediate()
      signal?.throwIfAborted()
      const feeds = await batches.feeds(b)
      const [was, is] = [await one.run(feeds), await two.run(feeds)]
      samples += batches.size
      for (const name of names) {
        const [y, z] = [was[name].data as Float32Array, is[name].data as Float32Array]
        const each = Math.max(1, Math.floor(y.length / batches.size))
        const own = sums.get(name) ?? {
          error: 0,
          value: new Float64Array(each),
          square: new Float64Array(each),
        }
        sums.set(name, own)
        for (let i = 0; i < y.length; i++) {
          own.error += (y[i] - z[i]) ** 2
          own.value[i % each] += y[i]
          own.square[i % each] += y[i] ** 2
        }
      }
    }
  } finally {
    await one.release()
    await two.release()
  }
  const all = [...sums.values()]
  const variance = all.reduce(
    (total, { value, square }) => total + square.reduce((sum, q, i) => sum + q - value[i] ** 2 / samples, 0),
    0,
  )
  return all.reduce((total, s) => total + s.error, 0) / Math.max(variance, Number.MIN_VALUE)
}
