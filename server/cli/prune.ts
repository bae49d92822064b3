import { stat, writeFile } from 'node:fs/promises'
import { formatBytes } from '@espalier/shared'
import { Option } from 'commander'
import { type Cost, costOf } from '../compiler/analysis/index.js'
import { readModelFile, writeModel, writeModelFile } from '../compiler/onnx/index.js'
import { criteria, keepShare } from '../compiler/saliency/index.js'
import {
  type Check,
  checkPruning,
  planOf,
  prunable,
  pruned,
  verifyShapes,
} from '../compiler/surgery/index.js'
import { count, type Define, outputOf, share } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { table } from './output.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly output: string
  readonly keep: number
  readonly criterion: keyof typeof criteria
  readonly round: number
  readonly plan?: string
  readonly check?: boolean
  readonly seed: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument('<model>', 'an ONNX file')
    .requiredOption('-o, --output <file>', 'where the pruned model goes')
    .requiredOption('--keep <share>', 'share of units to keep in each group, for example 0.5', share)
    .addOption(
      new Option('--criterion <name>', 'how units are ranked').choices(Object.keys(criteria)).default('l1'),
    )
    .option('--round <n>', 'keep a multiple of so many units', count, 1)
    .option('--plan <file>', 'write what was kept: {initializer: {dimension: [indices]}}')
    .option('--check', 'compare with the original in which the same weights are zero')
    .option('--seed <n>', 'for --criterion random and --check', count, 0)
    .addHelpText(
      'after',
      `
Removes whole channels, neurons and heads: everything that a unit touches goes with it, so that the pruned
network computes exactly what the original computes with those weights at zero. Accuracy falls; finetune
brings it back. 'espalier inspect MODEL' shows the groups and what cannot be pruned.

  espalier prune model.onnx -o half.onnx --keep 0.5 --check
  espalier prune model.onnx -o small.onnx --keep 0.3 --criterion bn-gamma --round 8 --plan plan.json`,
    )
    .action(prune)
}

async function prune(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const progress = out.progress()
  const seconds: Record<string, number> = {}
  const timed = async <T>(name: string, label: string, work: () => T | Promise<T>): Promise<T> => {
    progress.update(label)
    const start = performance.now()
    const result = await work()
    seconds[name] = (performance.now() - start) / 1000
    return result
  }
  try {
    const original = await readModelFile(model)
    const subject = await timed('analyse', 'finding what can go', () => prunable(original, options.shape))
    const { coupling } = subject
    const { removed, graph, shapes } = await timed('prune', 'pruning', async () => {
      const scores = criteria[options.criterion](coupling, { seed: options.seed })
      const gone = keepShare(coupling, scores, { share: options.keep, round: options.round })
      const result = pruned(subject, gone)
      return { removed: gone, graph: result, shapes: await verifyShapes(subject, gone, result) }
    })
    const check: Check | undefined = options.check
      ? await timed('check', 'checking', () => checkPruning(subject, removed, graph, { seed: options.seed }))
      : undefined
    const sized = (cost: Cost, bytes: number) => ({ macs: cost.macs, params: cost.params, fileBytes: bytes })
    const before = sized(costOf(original, coupling.shapes.dims, coupling.shapes), (await stat(model)).size)
    const after = sized(costOf(graph, shapes.dims, coupling.shapes), writeModel(graph).length)
    await writeModelFile(graph, options.output)
    if (options.plan) await writeFile(options.plan, `${JSON.stringify(planOf(subject, removed))}\n`)
    const units = coupling.groups.reduce((n, g) => n + g.units.length, 0)
    progress.done()
    const result = {
      before: { ...before, units },
      after: { ...after, units: units - removed.size },
      check,
      seconds,
    }
    out.result(result, () => describe(result, options.output))
  } finally {
    progress.done()
  }
}

interface Result {
  readonly before: Readonly<Record<'macs' | 'params' | 'fileBytes' | 'units', number>>
  readonly after: Result['before']
  readonly check?: Check
}

function describe({ before, after, check }: Result, file: string): string {
  const rows = [
    ['units', before.units, after.units],
    ['parameters', before.params, after.params],
    ['MACs', before.macs, after.macs],
    ['file', before.fileBytes, after.fileBytes],
  ] as const
  const shown = (name: string, v: number) => (name === 'file' ? formatBytes(v) : v.toLocaleString('en'))
  const lines = [
    table(rows, [
      ['', ([name]) => name],
      ['before', ([name, was]) => shown(name, was)],
      ['after', ([name, , is]) => shown(name, is)],
      ['left', ([, was, is]) => `${((100 * is) / was).toFixed(1)} %`],
    ]),
  ]
  if (check) {
    lines.push(
      `exact: outputs differ by at most ${check.maxAbsDiff.toExponential(1)} (scale ${check.scale.toPrecision(3)}) from the zeroed original${
        check.weak ? '; but these outputs do not depend on the input, so too much may be gone' : ''
      }`,
    )
  }
  lines.push(`written to ${file}`)
  return lines.join('\n')
}
