import { formatBytes } from '@espalier/shared'
import { type OptimizerName, optimizerNames } from '../compiler/names.js'
import { readRecipe, variantsOf } from '../compiler/recipe.js'
import { type FitResult, fit } from '../compiler/recipes/index.js'
import { count, type Define, interruption, many, oneOf, outputOf, positive, share, size } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { frontierTable } from './frontier.js'
import { boundNames, type Column, show, table } from './output.js'
import { requireFolder } from './places.js'
import { TrainingView } from './training-view.js'

interface Options extends DataOptions {
  readonly memory?: number[]
  readonly macs?: number[]
  readonly params?: number[]
  readonly artifact?: number[]
  readonly latency?: number[]
  readonly profile?: string
  readonly data: string
  readonly eval?: string
  readonly output: string
  readonly recipe?: string
  readonly epochs?: number
  readonly seed?: number
  readonly round?: number
  readonly depth?: number
  readonly criterion?: string
  readonly lr?: number
  readonly optimizer?: OptimizerName
  readonly batch?: number
  readonly weightDecay?: number
  readonly teacherShare?: number
  readonly temperature?: number
  readonly shift?: number
  readonly flip?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export const command: Define = (c) => {
  addDataOptions(c)
    .argument('<model>', 'an ONNX file: a trained classifier')
    .option('--memory <size...>', 'memory that a variant may add to a process, one variant each', many(size))
    .option(
      '--macs <share...>',
      "share of the model's multiply–accumulates that a variant may have",
      many(share),
    )
    .option('--params <share...>', "share of the model's parameters that a variant may have", many(share))
    .option('--artifact <size...>', "bytes that a variant's file may have", many(size))
    .option('--latency <ms...>', 'median time of a query, in ms, by --profile and measured', many(positive))
    .option('--profile <file>', 'operator times that espalier profile wrote')
    .requiredOption('--data <spec>', 'data to train and choose on; a tenth is held out')
    .option('--eval <spec>', 'data to measure accuracy on; decides nothing (default: what was held out)')
    .requiredOption('-o, --output <folder>', 'where variants and report go')
    .option('--recipe <file>', 'the method as a small JSON file; options given beside it count more')
    .option('--epochs <n>', 'passes over the data to fine-tune; 0 leaves it out (default: 2)', count)
    .option('--criterion <name>', 'how units are ranked (default: taylor with labels, else l1)')
    .option('--round <n>', 'keep multiples of so many channels (default: what runs fastest here)', count)
    .option(
      '--depth <share>',
      'keep at least this share of the residual branches (default: any may go)',
      share,
    )
    .option('--seed <n>', 'for everything that draws random numbers (default: 0)', count)
    .option('--lr <rate>', 'peak learning rate', positive)
    .option(
      '--optimizer <name>',
      `how weights are updated: ${optimizerNames.join(', ')}`,
      oneOf('an optimizer', optimizerNames),
    )
    .option('--batch <n>', 'samples a step', count)
    .option('--weight-decay <rate>', 'weight decay', positive)
    .option(
      '--teacher-share <share>',
      "the dense network's share of the loss; labels have the rest (default: 0.7)",
      share,
    )
    .option('--temperature <t>', "softens the dense network's answers (default: 4)", positive)
    .option('--shift <pixels>', 'shift training images at random by up to so many', count)
    .option('--flip', 'mirror training images at random')
    .option('--quiet', 'no progress and no curves')
    .addHelpText(
      'after',
      `
Trains the original, from labels alone where there are any: the reference, whose accuracy is printed too. Variants are
pruned from it, and taught by it, where training made it better, else from the original: channels and residual branches
go until each budget holds, measured on this machine, then what is left is fine-tuned by the same recipe. With several
kinds of limit each variant meets all of them. report.md in the folder says what was removed, and how to repeat it.

A recipe is {"schedule": "one-shot"}, or in rounds of pruning and training: {"schedule": "gradual", "rounds": 8}, to a share
of MACs or parameters by a cubic schedule; {"schedule": "iterative", "keep": 0.85, "allowance": 0.01}, which keeps that share
of the MACs a round and returns the last network whose top-1 on what was held out is within the allowance of the dense
network's; it needs no limit. All know criterion, epochs (a round), multiple, depth, seed and training; docs/recipes has
one for each method.

  espalier fit model.onnx --memory 4MB --memory 2MB --data images:train --eval images:test -o variants
  espalier fit model.onnx --macs 0.5 --data idx:x.gz,y.gz#first=10000 -o variants --epochs 5
  espalier fit model.onnx --recipe docs/recipes/iterative.json --data images:train -o variants`,
    )
    .action(run)
}

async function run(model: string, options: Options): Promise<void> {
  requireFolder(options.output)
  const out = outputOf(options)
  const progress = out.progress()
  const view = new TrainingView(progress)
  const recipe = options.recipe ? await readRecipe(options.recipe) : undefined
  const lists = {
    memoryBytes: options.memory,
    macs: options.macs,
    params: options.params,
    artifactBytes: options.artifact,
    latencyMs: options.latency,
  }
  const { lr, optimizer, batch, weightDecay, teacherShare, temperature, shift, flip } = options
  const result = await fit(
    {
      model,
      out: options.output,
      data: options.data,
      eval: options.eval,
      recipe,
      variants: variantsOf(recipe, lists),
      profile: options.profile,
      load: loadOptionsOf(options),
      criterion: options.criterion,
      round: options.round,
      depth: options.depth,
      epochs: options.epochs,
      seed: options.seed,
      training: { lr, optimizer, batch, weightDecay, teacherShare, temperature, shift, flip },
    },
    ({ stage, done, total, message, variant = '', loss, accuracy = null }) => {
      const label = `${variant} ${progress.live ? (message ?? stage) : stage}`
      if (loss === undefined) progress.update(label, done, total)
      else view.draw({ step: done, steps: total, loss, accuracy }, label, variant)
    },
    interruption(),
  ).finally(() => progress.done())
  const { report: _, ...numbers } = result
  out.result(numbers, () => describe(result, options.output))
}

const lossColumn: Column<{ readonly loss: number | null }> = ['loss', (v) => v.loss?.toPrecision(4)]
const expected: Column<{ readonly expectedMs: number | null }> = ['expected', (v) => show.ms(v.expectedMs)]

function describe({ dense, variants, frontier, seconds }: FitResult, folder: string): string {
  const rows = [
    {
      ...dense,
      name: 'dense',
      memoryBudgetBytes: null,
      bound: null,
      expectedMs: null,
      top1Pruned: null,
      agreement: null,
    },
    ...variants,
  ]
  return [
    table(rows, [
      ['variant', (v) => v.name],
      ['budget', (v) => show.bytes(v.memoryBudgetBytes)],
      ['bound by', (v) => v.bound && boundNames[v.bound]],
      ['memory', (v) => show.bytes(v.measuredRamBytes)],
      ['predicted', (v) => show.bytes(v.predictedRamBytes)],
      ['MACs', (v) => show.percent(v.macs / dense.macs)],
      ['parameters', (v) => show.percent(v.params / dense.params)],
      ['file', (v) => show.bytes(v.fileBytes)],
      ['p50', (v) => show.ms(v.p50Ms)],
      ...(variants.some((v) => v.expectedMs !== null) ? [expected] : []),
      ['top-1 pruned', (v) => show.percent(v.top1Pruned)],
      ['top-1', (v) => show.percent(v.top1)],
      ...(dense.top1 === null && dense.loss !== null ? [lossColumn] : []),
      ['agreement', (v) => show.percent(v.agreement)],
    ]),
    '',
    `The dense network given the same recipe: ${dense.lossReference !== null && dense.top1Reference === null ? `loss ${dense.lossReference.toPrecision(4)}` : `top-1 ${show.percent(dense.top1Reference) ?? '–'}`} on ${dense.n} samples.`,
    `With one channel in every group and no residual branch it needs ${formatBytes(dense.floorRamBytes)}: pruning cannot go below that.`,
    ...variants.flatMap((v) =>
      v.unused ? [`${v.name} uses less than 90 % of its budget: ${v.unused}.`] : [],
    ),
    '',
    frontierTable(frontier),
    '',
    `Written to ${folder} in ${Math.round(seconds)} s; report.md says what was removed and how to repeat it.`,
  ].join('\n')
}
