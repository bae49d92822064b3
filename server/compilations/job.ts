import type { CompilationProgress, VariantFigures, VariantPorts } from '../http/schemas/index.js'
import type { Limits } from './limits.js'

/** What the worker is told: paths and specs are of this machine. */
export interface Job {
  readonly model: string
  readonly data: string
  readonly eval?: string
  readonly variants: readonly Limits[]
  readonly criterion?: string
  readonly epochs?: number
  readonly seed?: number
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
  /** For people, in Markdown. */
  readonly report: string
}
