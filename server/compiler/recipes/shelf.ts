import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { readModelFile, writeModelFile } from '../onnx/index.js'
import { removeEmpty } from './folder.js'

/** Where a recipe of many steps keeps what it finished, so that the same call goes on where it was interrupted. */
export interface Shelf {
  /** A figure by its name, made if it is not there. */
  figure<T>(name: string, make: () => Promise<T>): Promise<T>
  /** A network by its name, made if it is not there. */
  graph(name: string, make: () => Promise<Graph> | Graph): Promise<Graph>
  /** Where a training may keep its checkpoint; undefined if nothing is kept. */
  checkpoint(name: string): string | undefined
}

/** Keeps nothing. */
export const noShelf: Shelf = {
  figure: (_, make) => make(),
  graph: async (_, make) => make(),
  checkpoint: () => undefined,
}

/** A folder as a shelf. What was kept for another key is not used. */
export class FolderShelf implements Shelf {
  readonly #folder: string
  readonly #figures: Map<string, unknown>

  private constructor(folder: string, figures: Map<string, unknown>) {
    this.#folder = folder
    this.#figures = figures
  }

  /** @param parts what the work depends on: bytes of the model, options. @throws WRITE_FAILED */
  static async open(folder: string, ...parts: readonly (string | Uint8Array)[]): Promise<FolderShelf> {
    const digest = createHash('sha256')
    for (const part of parts) digest.update(`${part.length}:`).update(part)
    const own = join(folder, digest.digest('hex').slice(0, 12))
    const file = join(own, 'figures.json')
    try {
      await mkdir(own, { recursive: true })
      const kept = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {}
      return new FolderShelf(own, new Map(Object.entries(kept)))
    } catch (cause) {
      throw new EspalierError('WRITE_FAILED', `cannot keep work in '${folder}': ${cause}`, { cause })
    }
  }

  async figure<T>(name: string, make: () => Promise<T>): Promise<T> {
    const kept = this.#figures.get(name)
    if (kept !== undefined) return kept as T
    const made = await make()
    this.#figures.set(name, made)
    const file = join(this.#folder, 'figures.json')
    await writeFile(`${file}.tmp`, JSON.stringify(Object.fromEntries(this.#figures)))
    await rename(`${file}.tmp`, file)
    return made
  }

  async graph(name: string, make: () => Promise<Graph> | Graph): Promise<Graph> {
    const file = join(this.#folder, `${name}.onnx`)
    if (existsSync(file)) return readModelFile(file)
    const made = await make()
    await writeModelFile(made, file)
    return made
  }

  checkpoint(name: string): string {
    return join(this.#folder, `${name}.checkpoint`)
  }

  /** The work is done: what was kept for it goes, and the folder with it where nothing else is in it. */
  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await removeEmpty(dirname(this.#folder))
  }
}
