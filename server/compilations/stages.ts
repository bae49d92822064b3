import type { CompilationProgress, CompilationStage } from '../http/schemas/index.js'

const mostPoints = 96

/** What a compilation went through, stage by stage, kept small enough to be stored again and again. */
export class StageLog {
  readonly #stages: CompilationStage[] = []
  /** Every so many steps of the last stage a point of its curve is kept. */
  #every = 0

  get stages(): readonly CompilationStage[] {
    return this.#stages
  }

  /** @returns whether `progress` begins another stage, or the same one on another variant. */
  add(progress: CompilationProgress, at: number): boolean {
    const last = this.#stages.at(-1)
    const begins = last?.stage !== progress.stage || last.variant !== progress.variant
    if (begins) {
      this.#every = 0
      this.#stages.push({ ...progress, startedAt: at, training: [] })
    } else {
      this.#stages[this.#stages.length - 1] = {
        ...progress,
        startedAt: last.startedAt,
        training: last.training,
      }
    }
    this.#trace(progress, this.#stages[this.#stages.length - 1])
    return begins
  }

  #trace({ done, loss, accuracy = null }: CompilationProgress, stage: CompilationStage): void {
    const last = stage.training.at(-1)
    if (loss === undefined || (last !== undefined && done - last.done < this.#every)) return
    stage.training.push({ done, loss, accuracy })
    if (stage.training.length < mostPoints) return
    stage.training = stage.training.filter((_, i) => i % 2 === 0)
    this.#every = (2 * (done - stage.training[0].done)) / mostPoints
  }
}
