import {
  classCounts,
  holdOut,
  imbalance,
  isLabelled,
  loadDataset,
  requireDistinct,
  withPreprocess,
} from '../compiler/data/index.js'
import type { Graph } from '../compiler/graph/index.js'
import { readModelFile, writeModelFile } from '../compiler/onnx/index.js'
import { evaluate } from '../compiler/runtime/index.js'
import { removeCheckpoint, train } from '../compiler/train/index.js'
import { count, type Define, interruption, outputOf, positive, share } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { facts, show } from './output.js'
import { requirePlaces } from './places.js'
import { addTrainingOptions, type TrainingOptions, trainingOf } from './training-options.js'
import { TrainingView } from './training-view.js'

interface Options extends DataOptions, TrainingOptions {
  readonly output: string
  readonly data: string
  readonly eval?: string
  readonly teacher?: string
  readonly temperature: number
  readonly teacherShare: number
  readonly epochs: number
  readonly keepZeros?: boolean
  readonly patience?: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(
    c
      .argument(
        '<model>',
        'an ONNX file: a classifier, a network of one output with targets for it, or any with a --teacher',
      )
      .requiredOption('-o, --output <file>', 'where the trained network goes')
      .requiredOption('--data <D>', 'training data')
      .option('--eval <D>', 'data for top-1 before and after; a tenth of --data is held out if not given'),
  )
    .option('--teacher <file>', 'an ONNX file whose answers are learnt too (distillation)')
    .option('--temperature <t>', "softens the teacher's answers", positive, 4)
    .option('--teacher-share <share>', "the teacher's share of the loss", share, 0.7)
    .option('--epochs <n>', 'passes over the data', count, 3)
    .option('--keep-zeros', 'weights that are exactly zero stay zero, as sparsify left them')
    .option('--patience <epochs>', 'end after so many epochs without a lower loss on a tenth held out', count)
  addTrainingOptions(c)
    .addHelpText(
      'after',
      `
Trains in a process of its own, on one thread. The learning rate rises for a twentieth of the steps and falls as a
cosine, unless --schedule and --warmup say otherwise. Ctrl-C stops; the same call then goes on from OUTPUT.checkpoint,
which is also written every 30 seconds, to the same weights as without a stop. --patience takes the weights of the epoch
that was best on a tenth of --data held out, never on --eval. A loss that is no number ends the run, says at which step
and in which value it first arose, and leaves the last good checkpoint.

  espalier finetune pruned.onnx -o tuned.onnx --data images:photos/train --eval images:photos/test
  espalier finetune pruned.onnx -o tuned.onnx --data npz:inputs.npz --teacher dense.onnx --epochs 5
  espalier finetune detector.onnx -o tuned.onnx --data images:streets --teacher dense-detector.onnx
  espalier finetune dense.onnx -o head.onnx --data images:photos --freeze 'backbone.*' --epochs 2
  espalier finetune sparse.onnx -o tuned.onnx --data images:photos --keep-zeros --optimizer sgd --nesterov`,
    )
    .action(finetune)
}

/** How many classes the network says that it tells apart. */
function classesOf({ outputs }: Graph): number | undefined {
  const last = outputs[0]?.dims?.at(-1)
  return typeof last === 'number' ? last : undefined
}

async function finetune(model: string, options: Options): Promise<void> {
  requirePlaces(model, { model: options.output })
  const out = outputOf(options)
  const signal = interruption()
  const progress = out.progress()
  const view = new TrainingView(progress)
  try {
    const graph = await readModelFile(model)
    const teacher = options.teacher ? await readModelFile(options.teacher) : undefined
    const reading = (what: string) => ({
      ...loadOptionsOf(options),
      on: (done: number, total: number) => progress.update(what, done, total),
      signal,
    })
    const data = await loadDataset(graph, options.data, reading('reading the training data'))
    const given = options.eval
      ? await loadDataset(graph, options.eval, reading('reading the evaluation data'))
      : undefined
    if (given) await requireDistinct(data, given)
    const parts = given && options.patience === undefined ? undefined : holdOut(data, options.seed)
    const rest = parts?.rest ?? data
    const held = given ?? parts?.held ?? data
    const judge = async (what: string, network: typeof graph) =>
      isLabelled(held)
        ? await evaluate(network, held, { on: (n, all) => progress.update(what, n, all), signal })
        : { top1: null, loss: null }
    const odd = imbalance(rest, classesOf(graph))
    if (odd) out.log(`note: ${odd}`)
    const checkpoint = `${options.output}.checkpoint`
    const before = await judge('evaluating before', graph)
    const { graph: trained, history } = await train(
      graph,
      rest,
      {
        ...trainingOf(options),
        ...{ epochs: options.epochs, keepZeros: options.keepZeros },
        stopping:
          parts && options.patience !== undefined
            ? { data: parts.held, patience: options.patience }
            : undefined,
        teacher: teacher && { graph: teacher, temperature: options.temperature, share: options.teacherShare },
        ...{ checkpoint, keepCheckpoint: true },
      },
      (p) => view.update(p),
      signal,
    )
    const after = await judge('evaluating after', trained)
    const bytes = await writeModelFile(withPreprocess(trained, data.preprocess), options.output)
    removeCheckpoint(checkpoint)
    const { steps, lossFirst, lossLast, imagesPerSecond, seconds, bestEpoch, memory } = history
    const result = {
      ...{ steps, lossFirst, lossLast, top1Before: before.top1, top1After: after.top1 },
      ...{
        heldLossBefore: before.loss,
        heldLossAfter: after.loss,
        imagesPerSecond,
        seconds,
        bestEpoch,
        memory,
      },
      ...(rest.labels && { classes: classCounts(rest, classesOf(graph)) }),
    }
    progress.done()
    out.result({ ...result, evaluated: held.count, fileBytes: bytes }, () =>
      facts({
        written: `${options.output}, ${show.bytes(bytes)}`,
        steps: `${steps} in ${seconds.toFixed(1)} s, ${imagesPerSecond.toFixed(0)} images/s`,
        loss: `${lossFirst.toFixed(4)} → ${lossLast.toFixed(4)}`,
        ...(memory && {
          memory: `${show.bytes(memory.predictedBytes)} a step by prediction${memory.segments > 1 ? `, values of ${memory.segments - 1} in ${memory.segments} segments computed again` : ''}`,
        }),
        ...(bestEpoch !== undefined && { taken: `the weights after epoch ${bestEpoch}` }),
        ...(held.targets && {
          'loss held out': `${before.loss?.toPrecision(4)} → ${after.loss?.toPrecision(4)}`,
        }),
        ...(!held.targets && {
          'top-1': held.labels
            ? `${show.percent(before.top1)} → ${show.percent(after.top1)} on ${held.count} samples ${given ? 'of --eval' : 'held out of --data'}`
            : 'unknown: the data have no labels',
        }),
      }),
    )
  } finally {
    progress.done()
  }
}
