import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, allocate, BudgetUnreachable, type Limits, type Thinning, thinning } from '../budget/index.js'
import {
  type Dataset,
  holdOut,
  loadDataset,
  preprocessOf,
  requireDistinct,
  withPreprocess,
} from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { requireLimits, type VariantLimits } from '../limits.js'
import { readModelFile, writeModelFile } from '../onnx/index.js'
import { agreement, type Evaluation, evaluate } from '../runtime/index.js'
import { type Prunable, prunable, pruned, verifyShapes } from '../surgery/index.js'
import { refreshStatistics } from '../train/index.js'
import { fineTune } from './fine-tune.js'
import { makeFolder } from './folder.js'
import { Ledger } from './ledger.js'
import { ramOf, sizesOf } from './measure.js'
import { corrected, meetMemory, type Point } from './meet-memory.js'
import type { Accuracy, DenseResult, FitOptions, FitResult, Progress, VariantResult } from './options.js'
import { markdown } from './report.js'
import { defaultCriterion, requireCriterion, saliency } from './saliency.js'

/** A short, strong recipe: few steps have to bring back what pruning took. */
const TRAINING = { schedule: 'one-cycle', optimizer: 'adam', lr: 3e-3, batch: 32 } as const
const DEFAULTS = { round: 8, epochs: 2, seed: 0 } as const

type On = (p: Progress) => void

/** What all variants of one run share. */
interface Run {
  readonly options: FitOptions
  readonly criterion: string
  readonly subject: Prunable
  readonly dense: Graph
  readonly data: { readonly rest: Dataset; readonly held: Dataset }
  readonly judge: Dataset
  readonly denseAnswers: Evaluation
  readonly scores: readonly Float64Array[]
  readonly points: Point[]
  readonly ledger: Ledger
  readonly on: On
  readonly signal?: AbortSignal
}

/**
 * Fits one network to several budgets: ranks its units, thins it until every limit of a variant holds (memory by
 * measuring the candidate), fine-tunes with the dense network as teacher, keeps what does better on a tenth of the
 * data held out, and measures accuracy, memory and latency. Writes `NAME.onnx` for each variant, `report.json` and
 * `report.md` to the folder `out`.
 * @throws BUDGET_UNREACHABLE, DATA_SHARED, DATA_UNLABELLED, OPTION_INVALID, and what its parts throw; the signal's
 *   reason when aborted. Finished variants and what resuming needs stay in `out`; where there are none, no `out`.
 */
export async function fit(options: FitOptions, on: On, signal?: AbortSignal): Promise<FitResult> {
  const started = performance.now()
  requireLimits(options.variants)
  if (options.criterion) requireCriterion(options.criterion)
  const run = await prepare(options, on, signal)
  const leave = await makeFolder(options.out)
  try {
    return await fitAll(run, started)
  } finally {
    await leave()
  }
}

async function fitAll(run: Run, started: number): Promise<FitResult> {
  const { options } = run
  const dense = await denseResult(run)
  const variants: VariantResult[] = []
  const orders = new Map<string, Thinning>()
  for (const limits of options.variants) {
    const resource =
      limits.memoryBytes !== undefined ? 'memory' : limits.macs !== undefined ? 'macs' : 'params'
    const order =
      orders.get(resource) ??
      thinning(run.subject.coupling, run.scores, resource, options.round ?? DEFAULTS.round)
    orders.set(resource, order)
    variants.push(run.ledger.variant(nameOf(options, limits)) ?? (await variantResult(run, order, limits)))
    await run.ledger.keepVariant(variants[variants.length - 1])
  }
  const result = { dense, variants, seconds: (performance.now() - started) / 1000 }
  const report = markdown(result, options, run.criterion)
  await writeFile(join(options.out, 'report.json'), `${JSON.stringify({ ...result, options }, null, 2)}\n`)
  await writeFile(join(options.out, 'report.md'), report)
  await run.ledger.close()
  return { ...result, report }
}

async function prepare(options: FitOptions, on: On, signal?: AbortSignal): Promise<Run> {
  const seed = options.seed ?? DEFAULTS.seed
  on({ stage: 'read', done: 0, total: 1, message: 'reading model and data' })
  const original = await readModelFile(options.model)
  const subject = await prunable(original, options.load?.shapes)
  const load = (spec: string) =>
    loadDataset(original, spec, {
      ...options.load,
      on: (done, total) => on({ stage: 'read', done, total, message: `reading ${spec}` }),
      signal,
    })
  const all = await load(options.data)
  const data = holdOut(all, seed)
  const judge = options.eval ? await load(options.eval) : data.held
  if (options.eval) requireDistinct(all, judge)
  const dense = withPreprocess(original, all.preprocess ?? preprocessOf(original))
  const criterion = options.criterion ?? defaultCriterion(all)
  on({ stage: 'saliency', done: 0, total: 1, message: `ranking units by ${criterion}` })
  const scores = await saliency(criterion, subject.coupling, data.rest, seed)
  on({ stage: 'evaluate', done: 0, total: judge.count, message: 'evaluating the dense network' })
  const denseAnswers = await evaluate(dense, judge, {
    on: (done, total) => on({ stage: 'evaluate', done, total, message: 'evaluating the dense network' }),
    signal,
  })
  const ledger = await Ledger.open(options)
  return {
    options,
    criterion,
    subject,
    dense,
    data,
    judge,
    denseAnswers,
    scores,
    points: [],
    ledger,
    on,
    signal,
  }
}

/** Measures the dense network and its floor, and gives the dense network the variants' recipe: the reference. */
async function denseResult(run: Run): Promise<DenseResult> {
  const { options, subject, on, signal, judge, dense, denseAnswers, points } = run
  const shapes = options.load?.shapes
  const { coupling } = subject
  const order = thinning(coupling, run.scores, 'params', 1)
  const floor = after(coupling, order, order.length)
  const known = run.ledger.dense
  const learn = (d: Pick<DenseResult, 'predictedRamBytes' | 'measuredRamBytes'>, floorRamBytes: number) =>
    points.push(
      { predicted: d.predictedRamBytes, measured: d.measuredRamBytes },
      { predicted: floor.footprint.predictedRamBytes, measured: floorRamBytes },
    )
  if (known) {
    learn(known, known.floorRamBytes)
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
    const { graph } = await tuned(run, dense, 'dense')
    const reference = await evaluate(graph, judge, { signal })
    const top1Reference = reference.top1
    const result = { ...sizes, ...accuracyOf(run, denseAnswers), top1Reference, floorRamBytes }
    await run.ledger.keepDense(result)
    return result
  } finally {
    await rm(file, { force: true })
  }
}

async function variantResult(run: Run, order: Thinning, asked: VariantLimits): Promise<VariantResult> {
  const { options, subject, on, signal, judge, dense, denseAnswers, points } = run
  const shapes = options.load?.shapes
  const { coupling } = subject
  const variant = nameOf(options, asked)
  const whole = after(coupling, [], 0).footprint
  const limits: Limits = {
    memoryBytes: asked.memoryBytes,
    macs: asked.macs === undefined ? undefined : asked.macs * whole.macs,
    params: asked.params === undefined ? undefined : asked.params * whole.params,
  }
  const budget = asked.memoryBytes
  const path = join(options.out, `${variant}.onnx`)
  const temporary = scratch(run)
  try {
    let barred = order
    for (;;) {
      let tried = 0
      const ram = corrected(points)
      const found =
        budget === undefined
          ? allocate(coupling, barred, limits)
          : await meetMemory(coupling, barred, { ...limits, memoryBytes: budget }, points, (candidate) => {
              const message = `measuring candidate ${++tried}: ${Math.round((100 * candidate.footprint.macs) / whole.macs)} % of the MACs`
              on({ stage: 'measure', done: tried, total: 0, message, variant })
              return ramOf(pruned(subject, candidate.removed), temporary, budget, shapes, signal)
            })
      const thinned = withPreprocess(pruned(subject, found.removed), preprocessOf(dense))
      await verifyShapes(subject, found.removed, thinned)
      const small = await refreshStatistics(thinned, run.data.rest)
      const before = await evaluate(small, judge, { signal })
      const { graph, better } = await tuned(run, small, variant)
      on({ stage: 'evaluate', done: 0, total: 1, message: 'evaluating', variant })
      const answers = await evaluate(graph, judge, { signal })
      await writeModelFile(graph, temporary)
      on({ stage: 'measure', done: 0, total: 1, message: 'measuring memory and latency', variant })
      const predict = (predictedRamBytes: number) => ram({ ...found.footprint, predictedRamBytes })
      const sizes = await sizesOf(graph, temporary, predict, shapes, signal)
      if (budget !== undefined && sizes.measuredRamBytes > budget) {
        // Measured again it was larger: take more away, and do not try that much again.
        if (found.steps >= barred.length)
          throw new BudgetUnreachable('memory', budget, sizes.measuredRamBytes)
        points.push({ predicted: found.footprint.predictedRamBytes, measured: sizes.measuredRamBytes })
        barred = [barred.slice(0, found.steps + 1).flat(), ...barred.slice(found.steps + 1)]
        continue
      }
      await rename(temporary, path)
      const used = budget === undefined ? 1 : sizes.measuredRamBytes / budget
      return {
        name: variant,
        file: path,
        limits: asked,
        memoryBudgetBytes: budget ?? null,
        ...sizes,
        artifactBytes: sizes.fileBytes,
        ...accuracyOf(run, answers),
        top1Pruned: before.top1,
        agreement: agreement(answers, denseAnswers),
        groups: coupling.groups.map(({ label, units }) => ({
          label,
          kept: units.filter((u) => !found.removed.has(u)).length,
          of: units.length,
        })),
        ...(used < 0.85 && { unused: whyUnused(found.steps) }),
        recipe: describeRecipe(run, better),
      }
    }
  } finally {
    await rm(temporary, { force: true })
  }
}

async function tuned(run: Run, graph: Graph, variant: string) {
  const { options, data, dense, on, signal } = run
  const epochs = options.epochs ?? DEFAULTS.epochs
  if (epochs === 0) return { graph, better: false }
  const training = {
    ...TRAINING,
    ...given(options.training),
    epochs,
    seed: options.seed ?? DEFAULTS.seed,
  } as const
  return fineTune(
    graph,
    dense,
    data,
    training,
    ({ step, steps, loss, accuracy, imagesPerSecond, secondsLeft }) =>
      on({
        stage: 'train',
        done: step,
        total: steps,
        variant,
        loss,
        accuracy,
        message: `fine-tuning, loss ${loss.toFixed(3)}, ${Math.round(imagesPerSecond)} images/s, ${Math.ceil(secondsLeft)} s left`,
      }),
    signal,
  )
}

function accuracyOf({ dense, judge }: Run, { n, top1, classes }: Evaluation): Accuracy {
  const names = judge.classNames ?? labelsOf(dense)
  return { n, top1, classes: classes.map((c, i) => ({ name: names[i] ?? String(i), ...c })) }
}

/** Class names that a model carries, as the sample does. */
function labelsOf(graph: Graph): readonly string[] {
  const text = graph.metadata.get('espalier.labels')
  const list: unknown = text ? JSON.parse(text) : []
  return Array.isArray(list) ? list.map(String) : []
}

const scratch = ({ options }: Run) => join(options.out, `.candidate-${process.pid}.onnx`)

function nameOf(
  { model, name = basename(model).replace(/\.onnx$/i, '') }: FitOptions,
  { memoryBytes, macs, params }: VariantLimits,
): string {
  const parts = name === '' ? [] : [name]
  if (memoryBytes !== undefined) parts.push(`${+(memoryBytes / 1e6).toPrecision(4)}MB`)
  if (macs !== undefined) parts.push(`macs${+(macs * 100).toPrecision(4)}`)
  if (params !== undefined) parts.push(`params${+(params * 100).toPrecision(4)}`)
  return parts.join('-')
}

const whyUnused = (steps: number): string =>
  steps === 0
    ? 'the dense network itself needs less than the budget'
    : 'the next larger form, a multiple of the rounding more in one group, was measured above the budget'

function describeRecipe({ options, criterion, data }: Run, better: boolean): string {
  const { round = DEFAULTS.round, epochs = DEFAULTS.epochs, seed = DEFAULTS.seed } = options
  const tuning =
    epochs === 0
      ? 'not fine-tuned'
      : better
        ? `fine-tuned ${epochs} epochs on ${data.rest.count} samples with the dense network as teacher`
        : 'fine-tuned, but better before on what was held out, and kept so'
  return `units by ${criterion}, multiples of ${round}; ${tuning}; seed ${seed}`
}

/** Only what was said: an option that is undefined would hide a default. */
const given = <T extends object>(options: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(options ?? {}).filter(([, v]) => v !== undefined)) as Partial<T>
