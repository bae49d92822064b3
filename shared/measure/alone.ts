import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './percentiles.js'
import type { MeasuringProcess } from './process.js'
import type { Shapes } from './protocol.js'
import { smallModel } from './small-models.js'

/** So many models are open at once and take turns, and no more than so many bytes of them. */
const TOGETHER = { models: 250, bytes: 48 * 2 ** 20 } as const
const SETTINGS = { rounds: 7, roundMs: 1 } as const

export interface TurnOptions {
  readonly threads?: number
  readonly shapes?: Shapes
  readonly rounds: number
  /** How long one model runs in one round. */
  readonly roundMs: number
}

/** The median query of each model, in turn, in ms; null for one that does not load or run. The files are made for it. */
export async function timeInTurn(
  process: MeasuringProcess,
  models: readonly Uint8Array[],
  options: TurnOptions,
): Promise<readonly (number | null)[]> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-times-'))
  try {
    const paths = models.map((_, i) => join(folder, `${i}.onnx`))
    for (const [i, model] of models.entries()) await writeFile(paths[i], model)
    const { p50Ms } = await process.compare({ paths, ...options })
    return p50Ms
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What operators take alone, less what a query takes that computes nothing; null where one does not run. */
export interface Alone {
  readonly queryMs: number
  readonly ms: readonly (number | null)[]
}

/** Times models of one operator each, some after others and those in turn. @param model makes the file of one */
export async function timeAlone(
  process: MeasuringProcess,
  count: number,
  model: (i: number) => Uint8Array,
  { threads, shapes, on }: Pick<TurnOptions, 'threads' | 'shapes'> & { readonly on: (done: number) => void },
): Promise<Alone> {
  const nothing = smallModel([1], [{ op: 'Relu' }])
  const queries: number[] = []
  const ms: (number | null)[] = []
  while (ms.length < count) {
    on(ms.length)
    const models = [nothing]
    for (let bytes = 0, i = ms.length; i < count && models.length <= TOGETHER.models; i++) {
      const next = model(i)
      bytes += next.length
      if (bytes > TOGETHER.bytes && models.length > 1) break
      models.push(next)
    }
    const [query, ...own] = await timeInTurn(process, models, { threads, shapes, ...SETTINGS })
    queries.push(query ?? 0)
    ms.push(...own.map((v) => (v === null ? null : Math.max(0, v - (query ?? 0)))))
  }
  return { queryMs: queries.length > 0 ? median(queries) : 0, ms }
}
