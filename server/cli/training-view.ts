import type { TrainProgress } from '../compiler/train/index.js'
import { Curve } from './curve.js'
import type { Progress } from './output.js'
import { trainingLine } from './training-options.js'

/** What curves are made of. */
export type Told = Pick<TrainProgress, 'step' | 'steps' | 'loss' | 'accuracy' | 'held'>

const ROWS = 4

/** How a training goes: a line, and on a terminal curves of loss, accuracy, and loss on what is held out. */
export class TrainingView {
  readonly #progress: Progress
  #run = ''
  #curves: { loss: Curve; right: Curve; held: Curve } | undefined

  constructor(progress: Progress) {
    this.#progress = progress
  }

  /** @param name of the run, where there are several: each has curves of its own */
  update(p: TrainProgress, name = ''): void {
    const before = name === '' ? '' : `${name}: `
    this.draw(p, this.#progress.live ? `${before}${trainingLine(p)}` : name || `epoch ${p.epoch}`, name)
  }

  /** The same with a line of one's own. */
  draw(p: Told, label: string, name: string): void {
    const { step, steps } = p
    if (!this.#progress.live) {
      this.#progress.update(label, step, steps)
      return
    }
    const { loss, right, held } = this.#curvesOf(name, steps)
    loss.add(step, p.loss)
    if (p.accuracy !== null) right.add(step, p.accuracy)
    if (p.held !== undefined) held.add(step, p.held)
    this.#progress.update(label, step, steps, () => [loss, right, held].flatMap((c) => c.lines(ROWS)))
  }

  #curvesOf(name: string, steps: number) {
    const run = `${name} ${steps}`
    if (!this.#curves || this.#run !== run) {
      const columns = Math.min(100, this.#progress.columns)
      const curve = (called: string) => new Curve(called, steps, columns)
      this.#curves = { loss: curve('loss'), right: curve('right'), held: curve('held out') }
      this.#run = run
    }
    return this.#curves
  }
}
