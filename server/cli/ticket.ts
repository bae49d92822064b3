import { readFile } from 'node:fs/promises'
import { loadDataset, requireDistinct, withPreprocess } from '../compiler/data/index.js'
import { readModelFile, writeFiles, writeModel } from '../compiler/onnx/index.js'
import { FolderShelf, type Round, ticket, ticketPlot } from '../compiler/recipes/index.js'
import type { Scope } from '../compiler/train/index.js'
import { count, type Define, interruption, oneOf, outputOf, share } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { show, table } from './output.js'
import { requirePlaces } from './places.js'
import { addTrainingOptions, type TrainingOptions, trainingOf } from './training-options.js'
import { TrainingView } from './training-view.js'

interface Options extends DataOptions, TrainingOptions {
  readonly data: string
  readonly eval: string
  readonly sparsity: number
  readonly rounds: number
  readonly epochs: number
  readonly rewind: number
  readonly fresh?: boolean
  readonly scope: Exclude<Scope, 'erk'>
  readonly lastRate: number
  readonly output?: string
  readonly svg?: string
  readonly work?: string
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(c)
    .argument('<model>', 'an ONNX classifier')
    .requiredOption('--data <D>', 'labelled training data')
    .requiredOption('--eval <D>', 'labelled data for top-1; decides nothing')
    .requiredOption('--sparsity <share>', 'the share of the weights that is zero after the last round', share)
    .requiredOption('--rounds <n>', 'how often the smallest weights go and the others are set back', count)
    .option('--epochs <n>', 'passes over the data in each training', count, 1)
    .option(
      '--rewind <step>',
      'set weights back to this step of the first training instead of its beginning',
      count,
      0,
    )
    .option('--fresh', "draw the weights to begin with; the model's own are taken if not given")
    .option(
      '--scope <layer|global>',
      'the same share of each layer, or the smallest anywhere',
      oneOf('a scope', ['layer', 'global']),
      'layer',
    )
    .option('--last-rate <share>', 'layer by layer: how much of the rate the last layer has', share, 0.5)
    .option('-o, --output <file>', 'where the last ticket goes, trained')
    .option('--svg <file>', "the paper's plot: accuracy over the share of weights left")
    .option('--work <folder>', 'where finished rounds are kept until the end (default: MODEL.ticket)')
  addTrainingOptions(c)
    .addHelpText(
      'after',
      `
The lottery ticket experiment of Frankle and Carbin (2019): train, set the smallest weights to zero and the others back to
where they began, and again. top1Ticket is each round's accuracy, top1Random that of the same zeros in weights drawn anew.
There are two trainings a round. Ctrl-C stops; the same call goes on where it was.

  espalier ticket lenet.onnx --fresh --data idx:x.gz,y.gz --eval idx:tx.gz,ty.gz --sparsity 0.964 --rounds 15 --epochs 4
  espalier ticket resnet.onnx --fresh --rewind 500 --scope global --data images:train --eval images:test \\
    --sparsity 0.9 --rounds 8 --epochs 10 --svg plot.svg -o ticket.onnx`,
    )
    .action(run)
}

async function run(model: string, options: Options): Promise<void> {
  requirePlaces(model, { model: options.output, plot: options.svg })
  const out = outputOf(options)
  const signal = interruption()
  const progress = out.progress()
  const view = new TrainingView(progress)
  try {
    const graph = await readModelFile(model)
    const load = (spec: string) =>
      loadDataset(graph, spec, {
        ...loadOptionsOf(options),
        on: (done, total) => progress.update(`reading ${spec}`, done, total),
        signal,
      })
    const data = await load(options.data)
    const judge = await load(options.eval)
    await requireDistinct(data, judge)
    const { output, svg, work, json: _, quiet: __, dataMemory: ___, ...key } = options
    const shelf = await FolderShelf.open(
      work ?? `${model}.ticket`,
      await readFile(model),
      JSON.stringify(key),
    )
    const { sparsity, rounds, epochs, rewind, fresh, scope, lastRate, seed } = options
    const result = await ticket(
      graph,
      {
        ...{ data, judge, sparsity, rounds, epochs, rewind, fresh, scope, lastRate, seed },
        training: trainingOf(options),
      },
      (name, p) => view.update(p, name),
      { shelf, signal },
    )
    const files = new Map<string, Uint8Array | string>()
    if (output) files.set(output, writeModel(withPreprocess(result.trained, data.preprocess)))
    if (svg) files.set(svg, ticketPlot(result.rounds))
    await writeFiles(files)
    await shelf.clear()
    progress.done()
    out.result({ rounds: result.rounds, evaluated: judge.count }, () => describe(result.rounds, judge.count))
  } finally {
    progress.done()
  }
}

const describe = (rounds: readonly Round[], n: number) =>
  `${table(rounds, [
    ['weights left', (r) => show.percent(1 - r.sparsity)],
    ['ticket', (r) => show.percent(r.top1Ticket) ?? r.lossTicket.toPrecision(4)],
    ['random', (r) => show.percent(r.top1Random) ?? r.lossRandom.toPrecision(4)],
  ])}\n\n${rounds[0]?.top1Ticket === null ? 'loss' : 'top-1'} on ${n} samples of --eval`
