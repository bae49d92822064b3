import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireLimits, requireProfile } from '../limits.js'
import { requireCriterion } from '../names.js'
import { requireAims } from '../recipe.js'
import { denseResult } from './dense.js'
import { makeFolder } from './folder.js'
import { frontierOf } from './frontier.js'
import { frontierPlot } from './frontier-plot.js'
import { corrected } from './meet-memory.js'
import type { FitOptions, FitResult, VariantResult } from './options.js'
import { markdown } from './report.js'
import { variantInRounds } from './rounds.js'
import { given, nameOf, type On, prepare, type Run, ranked } from './run.js'
import { variantResult } from './variant.js'

/**
 * Fits one network to several budgets: trains it, keeping what does better on a tenth of the data held out, ranks its
 * units, thins it until every limit of a variant holds (memory by measuring the candidate), fine-tunes with the unthinned
 * one as teacher, and measures accuracy, memory and latency. Writes `NAME.onnx` for each variant, `report.json`, `frontier.svg` and
 * `report.md` to the folder `out`.
 * @throws BUDGET_UNREACHABLE, DATA_SHARED, DATA_UNLABELLED, OPTION_INVALID, and what its parts throw; the signal's
 *   reason when aborted. Finished variants and what resuming needs stay in `out`; where there are none, no `out`.
 */
export async function fit(asked: FitOptions, on: On, signal?: AbortSignal): Promise<FitResult> {
  const started = performance.now()
  const options = withRecipe(asked)
  if (!endsByItself(options)) requireLimits(options.variants)
  requireAims(options.recipe, options.variants)
  requireProfile(options.variants, options.profile)
  if (options.criterion) requireCriterion(options.criterion)
  const run = await prepare(options, on, signal)
  const leave = await makeFolder(options.out)
  try {
    return await fitAll(run, started)
  } finally {
    await leave()
  }
}

/** What the recipe says where nothing else is said. */
function withRecipe(options: FitOptions): FitOptions {
  const { recipe } = options
  if (!recipe) return options
  const { criterion, epochs, multiple, depth, seed, training } = recipe
  return {
    ...options,
    criterion: options.criterion ?? criterion,
    epochs: options.epochs ?? epochs,
    round: options.round ?? multiple,
    depth: options.depth ?? depth,
    seed: options.seed ?? seed,
    training: { ...training, ...given(options.training) },
  }
}

/** Whether a recipe needs no limit: its allowance, or its rounds, end it. */
const endsByItself = ({ recipe, variants }: FitOptions) =>
  recipe?.schedule === 'iterative' &&
  variants.length === 1 &&
  Object.values(variants[0]).every((v) => v === undefined)

async function fitAll(prepared: Run, started: number): Promise<FitResult> {
  const { options } = prepared
  const { result: dense, better } = await denseResult(prepared)
  const source = better && (await ranked(better, prepared))
  const run = { ...prepared, ...source, teacher: better ?? prepared.dense }
  const variants: VariantResult[] = []
  const make = (options.recipe?.schedule ?? 'one-shot') === 'one-shot' ? variantResult : variantInRounds
  for (const limits of options.variants) {
    variants.push(run.ledger.variant(nameOf(options, limits)) ?? (await make(run, limits)))
    await run.ledger.keepVariant(variants[variants.length - 1])
  }
  const { subject, scores, points } = run
  const frontier = frontierOf(subject.coupling, scores, corrected(points), options)
  const result = { dense, variants, frontier, seconds: (performance.now() - started) / 1000 }
  const report = markdown(result, options, run.criterion)
  await writeFile(join(options.out, 'report.json'), `${JSON.stringify({ ...result, options }, null, 2)}\n`)
  if (options.recipe)
    await writeFile(join(options.out, 'recipe.json'), `${JSON.stringify(options.recipe, null, 2)}\n`)
  await writeFile(join(options.out, 'report.md'), report)
  await writeFile(join(options.out, 'frontier.svg'), frontierPlot(frontier, variants))
  await run.ledger.close()
  return { ...result, report }
}
