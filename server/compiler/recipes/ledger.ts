import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Graph } from '../graph/index.js'
import { readModelFile, writeModelFile } from '../onnx/index.js'
import type { DenseResult, FitOptions, VariantResult } from './options.js'

interface Entries {
  readonly dense?: DenseResult
  readonly variants: Readonly<Record<string, VariantResult>>
}

/** The dense network's figures, and it itself as the variants' training left it, where that made it better. */
export interface Dense {
  readonly result: DenseResult
  readonly better?: Graph
}

/** What a run has finished, kept in its folder, so that the same command goes on where it was interrupted. */
export class Ledger {
  readonly #path: string
  #entries: Entries

  private constructor(path: string, entries: Entries) {
    this.#path = path
    this.#entries = entries
  }

  /** What an earlier run with the same model bytes and options finished in the folder; its variants may be others. */
  static async open({ out, variants: _, ...options }: FitOptions): Promise<Ledger> {
    const digest = createHash('sha256').update(await readFile(options.model))
    const key = digest.update(JSON.stringify(options)).digest('hex').slice(0, 16)
    const path = join(out, `.unfinished-${key}.json`)
    if (!existsSync(path)) return new Ledger(path, { variants: {} })
    return new Ledger(path, JSON.parse(await readFile(path, 'utf8')))
  }

  async dense(): Promise<Dense | undefined> {
    const { dense: result } = this.#entries
    return (
      result && { result, better: existsSync(this.#better) ? await readModelFile(this.#better) : undefined }
    )
  }

  /** A finished variant whose file is still there. */
  variant(name: string): VariantResult | undefined {
    const found = this.#entries.variants[name]
    return found && existsSync(found.file) ? found : undefined
  }

  async keepDense({ result, better }: Dense): Promise<void> {
    if (better) await writeModelFile(better, this.#better)
    await this.#write({ ...this.#entries, dense: result })
  }

  keepVariant(v: VariantResult): Promise<void> {
    return this.#write({ ...this.#entries, variants: { ...this.#entries.variants, [v.name]: v } })
  }

  /** The run is complete: its report says everything. */
  async close(): Promise<void> {
    await rm(this.#path, { force: true })
    await rm(this.#better, { force: true })
  }

  get #better(): string {
    return this.#path.replace(/json$/, 'onnx')
  }

  async #write(entries: Entries): Promise<void> {
    this.#entries = entries
    await writeFile(`${this.#path}.tmp`, JSON.stringify(entries))
    await rename(`${this.#path}.tmp`, this.#path)
  }
}
