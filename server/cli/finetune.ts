import { EspalierError } from '@espalier/shared'
import { holdOut, loadDataset, requireDistinct, withPreprocess } from '../compiler/data/index.js'
import { readModelFile, writeModelFile } from '../compiler/onnx/index.js'
import { evaluate } from '../compiler/runtime/index.js'
import { type TrainProgress, train } from '../compiler/train/index.js'
import { count, type Define, interruption, outputOf, positive, share } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { facts, show } from './output.js'

interface Options extends DataOptions {
  readonly output: string
  readonly data: string
  readonly eval?: string
  readonly teacher?: string
  readonly temperature: number
  readonly teacherShare: number
  readonly epochs: number
  readonly lr?: number
  readonly batch: number
  readonly optimizer: 'adam' | 'sgd'
  readonly weightDecay: number
  readonly shift: number
  readonly flip?: boolean
  readonly frozenNorm?: boolean
  readonly seed: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(
    c
      .argument('<model>', 'an ONNX classifier')
      .requiredOption('-o, --output <file>', 'where the trained network goes')
      .requiredOption('--data <D>', 'training data')
      .option('--eval <D>', 'data for top-1 before and after; a tenth of --data is held out if not given'),
  )
    .option('--teacher <file>', 'an ONNX file whose answers are learnt too (distillation)')
    .option('--temperature <t>', "softens the teacher's answers", positive, 4)
    .option('--teacher-share <share>', "the teacher's share of the loss", share, 0.7)
    .option('--epochs <n>', 'passes over the data', count, 3)
    .option('--lr <rate>', 'highest learning rate; 0.001 for adam and 0.01 for sgd if not given', positive)
    .option('--batch <n>', 'samples a step', count, 64)
    .option('--optimizer <adam|sgd>', 'adam, or sgd with momentum 0.9', optimizer, 'adam')
    .option('--weight-decay <rate>', 'decoupled weight decay', share, 0)
    .option('--shift <pixels>', 'shift images at random by up to so many pixels', count, 0)
    .option('--flip', 'mirror images at random')
    .option('--frozen-norm', "keep the file's batch-normalisation statistics")
    .option('--seed <n>', 'same seed, same data, same weights', count, 0)
    .addHelpText(
      'after',
      `
Trains in a process of its own, on one thread. The learning rate rises for a twentieth of the steps and falls as a
cosine. Ctrl-C stops; the same call then goes on from OUTPUT.checkpoint, which is also written every 30 seconds.

  espalier finetune pruned.onnx -o tuned.onnx --data images:photos/train --eval images:photos/test
  espalier finetune pruned.onnx -o tuned.onnx --data npz:inputs.npz --teacher dense.onnx --epochs 5`,
    )
    .action(finetune)
}

async function finetune(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const signal = interruption()
  const progress = out.progress()
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
    if (given) requireDistinct(data, given)
    const { rest, held } = given ? { rest: data, held: given } : holdOut(data, options.seed)
    const judge = async (what: string, network: typeof graph) =>
      held.labels
        ? (await evaluate(network, held, { on: (n, all) => progress.update(what, n, all), signal })).top1
        : null
    const top1Before = await judge('evaluating before', graph)
    const { graph: trained, history } = await train(
      graph,
      rest,
      {
        ...{ epochs: options.epochs, lr: options.lr, batch: options.batch, optimizer: options.optimizer },
        ...{ weightDecay: options.weightDecay, shift: options.shift, flip: options.flip, seed: options.seed },
        batchNorm: options.frozenNorm ? 'frozen' : 'batch',
        teacher: teacher && { graph: teacher, temperature: options.temperature, share: options.teacherShare },
        checkpoint: `${options.output}.checkpoint`,
      },
      (p) => progress.update(out.stderr.isTTY ? line(p) : `epoch ${p.epoch}`, p.step, p.steps),
      signal,
    )
    const top1After = await judge('evaluating after', trained)
    const bytes = await writeModelFile(withPreprocess(trained, data.preprocess), options.output)
    const { steps, lossFirst, lossLast, imagesPerSecond, seconds } = history
    const result = { steps, lossFirst, lossLast, top1Before, top1After, imagesPerSecond, seconds }
    progress.done()
    out.result({ ...result, evaluated: held.count, fileBytes: bytes }, () =>
      facts({
        written: `${options.output}, ${show.bytes(bytes)}`,
        steps: `${steps} in ${seconds.toFixed(1)} s, ${imagesPerSecond.toFixed(0)} images/s`,
        loss: `${lossFirst.toFixed(4)} → ${lossLast.toFixed(4)}`,
        'top-1': held.labels
          ? `${show.percent(top1Before)} → ${show.percent(top1After)} on ${held.count} samples ${given ? 'of --eval' : 'held out of --data'}`
          : 'unknown: the data have no labels',
      }),
    )
  } finally {
    progress.done()
  }
}

function line({ epoch, loss, accuracy, imagesPerSecond, secondsLeft }: TrainProgress): string {
  const right = accuracy === null ? '' : `, ${show.percent(accuracy)} right`
  return `epoch ${epoch}: loss ${loss.toFixed(4)}${right}, ${imagesPerSecond.toFixed(0)} images/s, ${Math.ceil(secondsLeft)} s left`
}

function optimizer(text: string): 'adam' | 'sgd' {
  if (text === 'adam' || text === 'sgd') return text
  throw new EspalierError('OPTION_INVALID', `'${text}' is not an optimizer: adam or sgd`)
}
