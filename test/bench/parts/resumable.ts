import { createHash } from 'node:crypto'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModel, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import type { Shelf } from '@espalier/server/compiler/recipes/index.js'
import {
  loadCheckpoint,
  removeCheckpoint,
  runKey,
  saveCheckpoint,
} from '@espalier/server/compiler/train/checkpoint.js'
import { type Samples, type TrainOptions, withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'

/** Thrown where time is up: what was finished, and how far a training had come, is kept for the next run. */
export class TimeIsUp extends Error {}

/** A long experiment in pieces: what an earlier run finished in the folder is not done again. */
export class Resumable {
  readonly #folder: string
  readonly #until: number
  readonly #figures: Map<string, unknown>

  private constructor(folder: string, minutes: number, figures: Map<string, unknown>) {
    this.#folder = folder
    this.#until = performance.now() + minutes * 60_000
    this.#figures = figures
  }

  /** @param minutes after which a run stops with TimeIsUp */
  static async open(name: string, minutes: number): Promise<Resumable> {
    const folder = join('.build/bench', name)
    await mkdir(folder, { recursive: true })
    const file = join(folder, 'figures.json')
    const kept = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {}
    return new Resumable(folder, minutes, new Map(Object.entries(kept)))
  }

  /** A figure by its name, made if it is not there. */
  async figure<T>(name: string, make: () => Promise<T>): Promise<T> {
    const kept = this.#figures.get(name)
    if (kept !== undefined) return kept as T
    if (performance.now() > this.#until) throw new TimeIsUp()
    const made = await make()
    this.#figures.set(name, made)
    const file = join(this.#folder, 'figures.json')
    writeFileSync(`${file}.tmp`, JSON.stringify(Object.fromEntries(this.#figures)))
    renameSync(`${file}.tmp`, file) // not awaited between: several may be made at once
    console.error(name, JSON.stringify(made))
    return made
  }

  /** A network by its name, made if it is not there. */
  async graph(name: string, make: () => Promise<Graph> | Graph): Promise<Graph> {
    const file = join(this.#folder, `${name.replace(/[^\w.-]/g, '-')}.onnx`)
    if (existsSync(file)) return readModelFile(file)
    if (performance.now() > this.#until) throw new TimeIsUp()
    const made = await make()
    await writeModelFile(made, file)
    return made
  }

  /** Ends what takes a signal when time is up. */
  signal(): AbortSignal {
    return AbortSignal.timeout(Math.max(1, Math.round(this.#until - performance.now())))
  }

  /** A part of the experiment, its figures and networks kept under names of their own. */
  part(prefix: string): Shelf {
    return {
      figure: (name, make) => this.figure(`${prefix} figure ${name}`, make),
      graph: (name, make) => this.graph(`${prefix} ${name}`, make),
      checkpoint: () => undefined,
    }
  }

  /** The network trained, from where an earlier run of the same training stopped. */
  async trained(graph: Graph, data: Samples, options: TrainOptions): Promise<Graph> {
    const { teacher, stopping, ...plain } = options
    const key = runKey(writeModel(graph), teacher ? writeModel(teacher.graph) : '', JSON.stringify(plain))
    const file = join(
      this.#folder,
      `${createHash('sha256').update(key).digest('hex').slice(0, 16)}.checkpoint`,
    )
    let saved = performance.now()
    let told = saved
    const { constants } = await trainHere(graph, data, options, {
      on({ step, steps, loss, imagesPerSecond }) {
        if (performance.now() - told < 15_000) return
        told = performance.now()
        console.error(
          `step ${step} of ${steps}, loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(0)} images/s`,
        )
      },
      resume: loadCheckpoint(file, key),
      between: (state) => {
        const late = performance.now() > this.#until
        if (!late && performance.now() - saved < 20_000) return
        saved = performance.now()
        saveCheckpoint(file, key, state())
        if (late) throw new TimeIsUp()
      },
    })
    removeCheckpoint(file)
    return withConstants(graph, constants)
  }
}
