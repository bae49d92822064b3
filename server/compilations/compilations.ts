import { asEspalierError, EspalierError } from '@espalier/shared'
import type { ArtifactStore, Datasets, Models, Variants } from '../catalog/index.js'
import type { Correction } from '../compiler/limits.js'
import { requireCriterion } from '../compiler/names.js'
import { checkRecipe, variantsOf } from '../compiler/recipe.js'
import type { Events } from '../events.js'
import type {
  Compilation,
  CompilationDetail,
  CompilationState,
  NewCompilation,
  PageQuery,
} from '../http/schemas/index.js'
import {
  afterCursor,
  type Database,
  defaultLimit,
  newId,
  type Page,
  pageOf,
  storeError,
} from '../store/index.js'
import { Queue } from './queue.js'
import { Runs } from './runs.js'

export interface CompilationsOptions {
  readonly db: Database
  readonly models: Models
  readonly datasets: Datasets
  readonly variants: Variants
  readonly artifacts: ArtifactStore
  readonly events: Events
  /** What a budget on a kind of board is where variants are compiled; throws BOARD_UNKNOWN. */
  readonly boards: { correction(board: string): Correction }
  /** A module that calls `serve` with the work; it runs in a process of its own, one compilation each. */
  readonly worker: URL
  /** Where compilations write while they run. */
  readonly folder: string
  readonly limits: { readonly timeMs: number; readonly memoryBytes: number }
  readonly now?: () => number
}

/** Compiles one after another, each in a child process, so that the service answers meanwhile. */
export class Compilations {
  readonly #queue: Queue
  readonly #o: CompilationsOptions
  readonly #now: () => number
  readonly #runs: Runs
  #current?: { readonly id: string; readonly stop: AbortController; readonly ended: Promise<void> }
  #stopped = true

  constructor(options: CompilationsOptions) {
    this.#o = options
    this.#queue = new Queue(options.db)
    this.#now = options.now ?? Date.now
    this.#runs = new Runs({ ...options, queue: this.#queue, now: this.#now })
  }

  /** Marks what an earlier process left running as interrupted, and begins with what waits. */
  start(): void {
    for (const id of this.#queue.running()) {
      this.#end(id, 'interrupted', {
        error: {
          code: 'INTERRUPTED',
          message: 'the service ended while this was running; retry it to run it again',
        },
      })
    }
    this.#stopped = false
    this.#pump()
  }

  /** Interrupts the running compilation and begins no other. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#current?.stop.abort('interrupted' satisfies CompilationState)
    await this.#current?.ended
  }

  list({ cursor, limit = defaultLimit, model }: PageQuery & { model?: string }): Page<Compilation> {
    const rows = this.#queue.list({ model, before: afterCursor(cursor), limit: limit + 1 })
    return pageOf(rows, limit, (c) => c.id)
  }

  /** @throws COMPILATION_UNKNOWN */
  get(id: string): CompilationDetail {
    const found = this.#queue.detail(id)
    if (found) return found
    throw new EspalierError(
      'COMPILATION_UNKNOWN',
      `there is no compilation '${id}'; see espalier compilations ls`,
    )
  }

  /** The report of a finished compilation, in Markdown. @throws COMPILATION_UNKNOWN, COMPILATION_ACTIVE */
  report(id: string): string {
    const { state } = this.get(id)
    const text = this.#queue.report(id)
    if (text !== null) return text
    throw new EspalierError(
      'COMPILATION_ACTIVE',
      `compilation ${id} is ${state}: a report is there once it is done`,
    )
  }

  /**
   * Queues a compilation.
   * @throws MODEL_UNKNOWN, VERSION_UNKNOWN, DATASET_UNKNOWN, DATASET_INVALID, OPTION_INVALID, RECIPE_INVALID, BOARD_UNKNOWN
   */
  create(request: NewCompilation): Compilation {
    // What is wrong is refused here, not by the worker later.
    variantsOf(request.recipe && checkRecipe(request.recipe), request)
    if (request.criterion !== undefined) requireCriterion(request.criterion)
    if (request.board !== undefined) this.#o.boards.correction(request.board)
    const { version } = this.#o.models.version(request.model, request.version)
    const data = this.#o.datasets.get(request.data)
    if (request.eval !== undefined && this.#o.datasets.get(request.eval).spec === data.spec) {
      throw new EspalierError(
        'DATASET_INVALID',
        `'${request.data}' and '${request.eval}' are the same data; evaluate on data that was not trained on`,
      )
    }
    const id = newId('c', this.#now())
    this.#queue.add(id, version, request, this.#now())
    this.#announce(id, 'queued')
    this.#pump()
    return this.get(id)
  }

  /** Stops a compilation that waits or runs. @throws COMPILATION_UNKNOWN, COMPILATION_ENDED */
  cancel(id: string): Compilation {
    const { state } = this.get(id)
    if (state === 'queued') this.#end(id, 'cancelled')
    else if (state === 'running' && this.#current?.id === id)
      this.#current.stop.abort('cancelled' satisfies CompilationState)
    else
      throw new EspalierError(
        'COMPILATION_ENDED',
        `compilation ${id} is ${state}; there is nothing to cancel`,
      )
    return this.get(id)
  }

  /** Queues one again that failed, was cancelled or interrupted. @throws COMPILATION_UNKNOWN, COMPILATION_ACTIVE, COMPILATION_ENDED */
  retry(id: string): Compilation {
    const { state } = this.get(id)
    if (state === 'queued' || state === 'running') {
      throw new EspalierError(
        'COMPILATION_ACTIVE',
        `compilation ${id} is ${state}; wait for it, or cancel it first`,
      )
    }
    if (state === 'done') {
      throw new EspalierError(
        'COMPILATION_ENDED',
        `compilation ${id} is done; create another to compile again`,
      )
    }
    this.#queue.requeue(id)
    this.#announce(id, 'queued')
    this.#pump()
    return this.get(id)
  }

  #pump(): void {
    if (this.#stopped || this.#current) return
    const next = this.#queue.next(this.#now())
    if (!next) return
    const stop = new AbortController()
    const ended = this.#run(next, stop.signal).finally(() => {
      this.#current = undefined
      this.#pump()
    })
    this.#current = { id: next.id, stop, ended }
    this.#announce(next.id, 'running')
  }

  async #run(compilation: Compilation, signal: AbortSignal): Promise<void> {
    try {
      await this.#runs.run(compilation, signal)
    } catch (thrown) {
      const { code, message } = asEspalierError(storeError(thrown))
      const stopped = signal.aborted && (signal.reason as CompilationState)
      this.#end(compilation.id, stopped || 'failed', { error: { code, message } })
    }
  }

  #end(
    id: string,
    state: CompilationState,
    outcome: { error?: { code: string; message: string } } = {},
  ): void {
    this.#queue.end(id, state, this.#now(), outcome)
    this.#announce(id, state)
  }

  #announce(compilation: string, state: CompilationState): void {
    this.#o.events.emit({ type: 'compilation.changed', compilation, state })
  }
}
