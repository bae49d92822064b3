import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { Option } from 'commander'
import type { Footprint } from '../compiler/analysis/index.js'
import { loadDataset } from '../compiler/data/index.js'
import { readTimes } from '../compiler/latency/index.js'
import type { Resource } from '../compiler/limits.js'
import { criterionNames } from '../compiler/names.js'
import { readModelFile, writeFiles, writeModel } from '../compiler/onnx/index.js'
import { frontierPlot, type PruneOptions, type PruneResult, prune } from '../compiler/recipes/index.js'
import type { Check } from '../compiler/surgery/index.js'
import { count, type Define, outputOf, positive, share, size } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { frontierTable } from './frontier.js'
import { boundNames, show, table } from './output.js'
import { requirePlaces } from './places.js'

type Passed = Pick<
  PruneOptions,
  'keep' | 'depth' | 'macs' | 'params' | 'criterion' | 'round' | 'check' | 'recover'
>
interface Options extends Passed, DataOptions {
  readonly data?: string
  readonly output: string
  readonly memory?: number
  readonly artifact?: number
  readonly latency?: number
  readonly profile?: string
  readonly frontier?: string | true
  readonly plan?: string
  readonly svg?: string
  readonly seed: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(c)
    .argument('<model>', 'an ONNX file')
    .requiredOption('-o, --output <file>', 'where the pruned model goes')
    .option('--keep <share>', 'keep this share of the units of each group, for example 0.5', share)
    .option(
      '--depth <share>',
      'keep this share of the residual branches (default: all with --keep, else as limits ask)',
      share,
    )
    .option('--macs <share>', 'keep this share of the multiply–accumulates', share)
    .option('--params <share>', 'keep this share of the parameters', share)
    .option('--memory <size>', 'keep the predicted memory below it, for example 4MB', size)
    .option('--artifact <size>', 'keep the file below it', size)
    .option('--latency <ms>', 'keep a query below it, as --profile expects', positive)
    .option('--profile <file>', 'operator times that espalier profile wrote, here or on a device')
    .option('--frontier [file]', 'say what each further MB would buy; drawn, too, if a file.svg is named')
    .addOption(new Option('--criterion <name>', 'how units are ranked').choices(criterionNames).default('l1'))
    .option('--data <D>', 'data that --recover, --criterion reconstruction and (labelled) taylor look at')
    .option('--recover', 'repair what is left from about 1,000 inputs of the data, without labels')
    .option(
      '--round <n>',
      'keep channels in multiples (default: 1 with --keep, the fastest by --profile, otherwise 8)',
      atLeastOne,
    )
    .option('--plan <file>', 'write what was kept: {initializer: {dimension: [indices]}}')
    .option('--svg <file>', 'draw the network before and after, layer by layer')
    .option('--check', 'compare with the original in which the same weights are zero')
    .option('--seed <n>', 'for --criterion random and --check', count, 0)
    .addHelpText(
      'after',
      `
Removes whole channels, neurons and heads, and residual branches where --depth or a limit asks for it: everything that a unit
touches goes with it, so that the pruned network computes exactly what the original computes with those weights at
zero. Accuracy falls; --recover makes up for much of it in seconds, from unlabelled data, finetune for more.
'espalier inspect MODEL' shows the groups, the branches (a layer of a transformer is two) and what cannot be pruned.
Several limits hold together, with the most saliency kept; --keep stands alone.

  espalier prune model.onnx -o half.onnx --keep 0.5 --check
  espalier prune model.onnx -o shallow.onnx --keep 1 --depth 0.75 --check
  espalier prune model.onnx -o fast.onnx --macs 0.5 --criterion bn-gamma
  espalier prune model.onnx -o fast.onnx --macs 0.5 --criterion taylor --data images:photos/train
  espalier prune model.onnx -o fast.onnx --macs 0.5 --criterion reconstruction --recover --data images:photos
  espalier prune model.onnx -o small.onnx --memory 4MB --artifact 500kB --plan plan.json
  espalier prune model.onnx -o fast.onnx --latency 2 --profile board.json --frontier
  espalier prune model.onnx -o half.onnx --macs 0.5 --svg half.svg`,
    )
    .action(run)
}

const stages: Readonly<Record<string, string>> = {
  analyse: 'finding what can go',
  rank: 'ranking units',
  choose: 'choosing what goes',
  prune: 'pruning',
  check: 'comparing with the zeroed original',
  recover: 'repairing',
  frontier: 'finding what each further MB would buy',
}

async function run(model: string, options: Options): Promise<void> {
  const { output, plan, svg, frontier } = options
  requirePlaces(model, {
    ...{ model: output, plan, drawing: svg },
    frontier: typeof frontier === 'string' ? frontier : undefined,
  })
  const out = outputOf(options)
  const progress = out.progress()
  const original = await readModelFile(model)
  const data = options.data ? await loadDataset(original, options.data, loadOptionsOf(options)) : undefined
  const result = await prune(
    original,
    {
      ...options,
      data,
      frontier: options.frontier !== undefined,
      times: options.profile === undefined ? undefined : await readTimes(options.profile),
      latencyMs: options.latency,
      memoryBytes: options.memory,
      artifactBytes: options.artifact,
      shapes: options.shape,
    },
    (stage, done, total) => progress.update(stages[stage] ?? stage, done, total),
  ).finally(() => progress.done())
  const bytes = writeModel(result.graph)
  const files = new Map<string, Uint8Array | string>([[options.output, bytes]])
  if (options.plan) files.set(options.plan, `${JSON.stringify(result.plan)}\n`)
  if (options.svg) {
    const { draw } = await import('../compiler/drawing/index.js')
    const { before, after } = result.shapes
    const pair = [
      { graph: original, shapes: before },
      { graph: result.graph, shapes: after },
    ] as const
    files.set(options.svg, await draw(basename(model), ...pair))
  }
  if (typeof options.frontier === 'string' && result.frontier)
    files.set(options.frontier, frontierPlot(result.frontier, []))
  await writeFiles(files)
  const report = {
    before: sized(result.before, (await stat(model)).size, result.units.before),
    after: sized(result.after, bytes.length, result.units.after),
    blocks: result.blocks,
    bound: result.bound,
    expectedMs: result.expectedMs,
    frontier: result.frontier,
    check: result.check,
    recovered: result.recovered,
    seconds: result.seconds,
  }
  out.result(report, () => describe(report, options.output))
}

const sized = (f: Footprint, fileBytes: number, units: number) => ({ ...f, fileBytes, units })

function atLeastOne(text: string): number {
  const n = count(text)
  if (n < 1) throw new EspalierError('OPTION_INVALID', `'${text}' is not a multiple; write 1 or more`)
  return n
}

interface Report {
  readonly before: ReturnType<typeof sized>
  readonly after: ReturnType<typeof sized>
  readonly blocks: PruneResult['blocks']
  readonly bound: Resource | null
  readonly expectedMs?: PruneResult['expectedMs']
  readonly frontier?: PruneResult['frontier']
  readonly check?: Check
  readonly recovered?: PruneResult['recovered']
}

function describe(report: Report, file: string): string {
  const { before, after, blocks, bound, expectedMs, frontier, check, recovered } = report

  const whole = (v: number) => Math.round(v).toLocaleString('en')
  const bytes = (v: number) => show.bytes(v)
  const rows = [
    ['units', before.units, after.units, whole],
    ['parameters', before.params, after.params, whole],
    ['MACs', before.macs, after.macs, whole],
    ['file', before.fileBytes, after.fileBytes, bytes],
    ['predicted memory', before.predictedRamBytes, after.predictedRamBytes, bytes],
    ...(expectedMs ? [['expected latency', expectedMs.before, expectedMs.after, show.ms] as const] : []),
  ] as const
  const lines = [
    table(rows, [
      ['', ([name]) => name],
      ['before', ([, was, , format]) => format(was)],
      ['after', ([, , is, format]) => format(is)],
      ['left', ([, was, is]) => (was > 0 ? `${((100 * is) / was).toFixed(1)} %` : null)],
    ]),
  ]
  if (blocks.gone.length > 0)
    lines.push(
      `gone as a whole: ${blocks.gone.length} of ${blocks.before} residual branches (${blocks.gone.join(', ')})`,
    )
  if (bound) lines.push(`the limit on ${boundNames[bound]} bound`)
  if (check) {
    const gap = `outputs differ by at most ${check.maxAbsDiff.toExponential(1)} (scale ${check.scale.toPrecision(3)})`
    const weak = check.weak ? '; but they do not depend on the input: too much may be gone' : ''
    lines.push(`exact: ${gap} from the zeroed original${weak}`)
  }
  if (recovered) lines.push(repair(recovered))
  if (frontier) lines.push(frontierTable(frontier))
  lines.push(`written to ${file}`)
  return lines.join('\n')
}

function repair({
  better,
  samples,
  errorBefore,
  errorAfter,
  layers,
}: NonNullable<Report['recovered']>): string {
  const share = (v: number) => `${(100 * v).toPrecision(3)} %`
  if (!better)
    return `not repaired: on held-out inputs it would come no closer to the original (error ${share(errorBefore)})`
  const changed = layers.filter((l) => l.accepted > 0).length
  return `repaired ${changed} layers from ${samples} inputs: error of the outputs ${share(errorBefore)} before, ${share(errorAfter)} after`
}
