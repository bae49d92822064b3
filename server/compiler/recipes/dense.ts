import { rm } from 'node:fs/promises'
import { floor as floorOf } from '../budget/index.js'
import { writeModelFile } from '../onnx/index.js'
import { evaluate } from '../runtime/index.js'
import { pruned } from '../surgery/index.js'
import { refuseUnreachable } from './budgets.js'
import type { Dense } from './ledger.js'
import { ramOf, sizesOf } from './measure.js'
import type { DenseResult } from './options.js'
import { accuracyOf, type Run, scratch, tuned } from './run.js'

/**
 * Measures the dense network and its floor, and gives the dense network the variants' recipe, from labels
 * alone where there are any: the reference, and the teacher of the variants.
 * @throws BUDGET_UNREACHABLE before anything is trained
 */
export async function denseResult(run: Run): Promise<Dense> {
  const { options, subject, on, signal, judge, dense, denseAnswers, points } = run
  const shapes = options.load?.shapes
  const { coupling } = subject
  const floor = floorOf(coupling)
  const known = await run.ledger.dense()
  const learn = (d: Pick<DenseResult, 'predictedRamBytes' | 'measuredRamBytes'>, floorRamBytes: number) =>
    points.push(
      { predicted: d.predictedRamBytes, measured: d.measuredRamBytes },
      { predicted: floor.footprint.predictedRamBytes, measured: floorRamBytes },
    )
  if (known) {
    learn(known.result, known.result.floorRamBytes)
    refuseUnreachable(run, known.result.floorRamBytes)
    return known
  }
  on({ stage: 'measure', done: 0, total: 2, message: 'measuring the dense network' })
  const file = scratch(run)
  try {
    await writeModelFile(dense, file)
    const sizes = await sizesOf(dense, file, (p) => p, shapes, signal)
    on({ stage: 'measure', done: 1, total: 2, message: 'measuring the floor' })
    const floorRamBytes = await ramOf(
      pruned(subject, floor.removed),
      file,
      Number.POSITIVE_INFINITY,
      shapes,
      signal,
    )
    learn(sizes, floorRamBytes)
    refuseUnreachable(run, floorRamBytes)
    const { graph, better } = await tuned(run, dense, 'dense')
    const reference = await evaluate(graph, judge, { signal })
    const references = { top1Reference: reference.top1, lossReference: reference.loss }
    const result = { ...sizes, ...accuracyOf(run, denseAnswers), ...references, floorRamBytes }
    const found = { result, better: better ? graph : undefined }
    await run.ledger.keepDense(found)
    return found
  } finally {
    await rm(file, { force: true })
  }
}
