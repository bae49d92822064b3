import type { FrontierPoint } from '../compiler/frontier.js'
import type { BoardTarget } from '../compiler/limits.js'
import type { Recipe } from '../compiler/recipe.js'
import type { CompilationProgress, VariantFigures, VariantPorts } from '../http/schemas/index.js'

/** What the worker is told: limits as in the request, paths and specs of this machine. */
export interface Job {
  readonly model: string
  readonly data: string
  readonly eval?: string
  readonly memoryBytes?: readonly number[]
  readonly macs?: readonly number[]
  readonly params?: readonly number[]
  readonly artifactBytes?: readonly number[]
  readonly latencyMs?: readonly number[]
  /** File of operator times that latency is expected by; measured here if limits ask for it and none is given. */
  readonly profile?: string
  readonly recipe?: Recipe
  readonly criterion?: string
  readonly epochs?: number
  readonly seed?: number
  readonly board?: BoardTarget
  /** An empty folder for the variants and the report. */
  readonly out: string
}

export type JobProgress = CompilationProgress

export interface DenseFigures {
  readonly top1: number | null
  readonly macs: number | null
  readonly params: number | null
  readonly measuredRamBytes: number | null
  readonly p50Ms: number | null
}

/** What the worker answers. */
export interface JobResult {
  readonly dense: DenseFigures
  readonly variants: readonly {
    readonly name: string
    readonly file: string
    readonly figures: VariantFigures
    readonly ports: VariantPorts
  }[]
  /** What each budget of memory would buy. */
  readonly frontier: readonly FrontierPoint[]
  /** For people, in Markdown. */
  readonly report: string
}
