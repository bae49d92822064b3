import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Drawings, type NewVariant } from '../catalog/index.js'
import { runChild } from '../child/index.js'
import { checkRecipe } from '../compiler/recipe.js'
import type { Compilation } from '../http/schemas/index.js'
import type { CompilationsOptions } from './compilations.js'
import type { Job, JobProgress, JobResult } from './job.js'
import type { Queue } from './queue.js'
import { StageLog } from './stages.js'

const progressMs = 200
const noteMs = 2000

/** Runs one compilation in its child process, tells how far it is, and keeps what it made: then it is done. */
export class Runs {
  readonly #o: CompilationsOptions & { readonly queue: Queue; readonly now: () => number }
  readonly #drawings: Drawings

  constructor(options: CompilationsOptions & { readonly queue: Queue; readonly now: () => number }) {
    this.#o = options
    this.#drawings = new Drawings(options.artifacts)
  }

  /** To the end; the worker's folder is gone then, however it ended. @throws what the child does; the signal's reason */
  async run(compilation: Compilation, signal: AbortSignal): Promise<void> {
    const { id } = compilation
    const out = join(this.#o.folder, id)
    try {
      await rm(out, { recursive: true, force: true })
      await mkdir(out, { recursive: true })
      const profile = await this.#profile(id, out)
      const result = (await runChild(
        this.#o.worker,
        this.#job(compilation, out, profile),
        { ...this.#o.limits, signal },
        this.#progressOf(id),
      )) as JobResult
      await this.#keep(compilation, result, signal)
    } finally {
      await rm(out, { recursive: true, force: true })
    }
  }

  /** The file of operator times that came with a request, if they did. */
  async #profile(id: string, folder: string): Promise<string | undefined> {
    const times = this.#o.queue.profile(id)
    if (times === null) return undefined
    const file = join(folder, 'profile.json')
    await writeFile(file, times)
    return file
  }

  #job({ model, version, request }: Compilation, out: string, profile: string | undefined): Job {
    const { digest } = this.#o.models.version(model, version)
    const { memoryBytes, macs, params, artifactBytes, latencyMs, criterion, epochs, seed, board } = request
    return {
      model: this.#o.artifacts.path(digest),
      data: this.#o.datasets.get(request.data).spec,
      eval: request.eval === undefined ? undefined : this.#o.datasets.get(request.eval).spec,
      ...{ memoryBytes, macs, params, artifactBytes, latencyMs, profile, criterion, epochs, seed, out },
      recipe: request.recipe && checkRecipe(request.recipe),
      board: board === undefined ? undefined : { name: board, ...this.#o.boards.correction(board) },
    }
  }

  /** Stores the variants' files, then all rows in one transaction. */
  async #keep(
    { id, model, version }: Compilation,
    { variants, dense, frontier, report }: JobResult,
    signal: AbortSignal,
  ): Promise<void> {
    const before = this.#o.artifacts.path(this.#o.models.version(model, version).digest)
    const kept: NewVariant[] = []
    for (const { name, file, figures, ports } of variants) {
      const drawn = await this.#drawings.draw({ title: name, before, after: file }, signal)
      const staged = await this.#o.artifacts.take(file)
      await staged.keep()
      kept.push({ name, model, version, compilation: id, digest: staged.digest, figures, ports, drawn })
    }
    this.#o.variants.add(kept, () =>
      this.#o.queue.end(id, 'done', this.#o.now(), { dense, frontier, report }),
    )
    this.#o.events.emit({ type: 'compilation.changed', compilation: id, state: 'done' })
  }

  #progressOf(id: string): (news: unknown) => void {
    const log = new StageLog()
    let notedAt = 0
    let toldAt = 0
    return (news) => {
      const progress = news as JobProgress
      const now = this.#o.now()
      const begins = log.add(progress, now)
      const ends = progress.done >= progress.total
      if (begins || ends || now - notedAt >= noteMs) {
        this.#o.queue.note(id, progress, log.stages)
        notedAt = now
      }
      if (!begins && !ends && now - toldAt < progressMs) return
      toldAt = now
      this.#o.events.emit({ ...progress, type: 'compilation.progress', compilation: id })
    }
  }
}
