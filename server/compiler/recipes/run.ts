import { basename, join } from 'node:path'
import type { OperatorTimes } from '@espalier/shared/measure/index.js'
import type { LatencyModel } from '../budget/index.js'
import {
  type Dataset,
  holdOut,
  isLabelled,
  loadDataset,
  preprocessOf,
  requireDistinct,
  withPreprocess,
} from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { isOfHere, latencyModel, readTimes } from '../latency/index.js'
import type { VariantLimits } from '../limits.js'
import { readModelFile } from '../onnx/index.js'
import { type Evaluation, evaluate } from '../runtime/index.js'
import { type Prunable, prunable } from '../surgery/index.js'
import { fineTune } from './fine-tune.js'
import { Ledger } from './ledger.js'
import type { Point } from './meet-memory.js'
import type { Accuracy, FitOptions, Progress } from './options.js'
import { defaultCriterion, saliency } from './saliency.js'

/**
 * A short recipe: few steps have to bring back what repair could not. Three times the rate undoes in its first third
 * what repair has brought, and where there are few steps does not get back to it.
 */
const TRAINING = { schedule: 'one-cycle', optimizer: 'adam', lr: 1e-3, batch: 32, unfold: true } as const
export const DEFAULTS = { round: 8, epochs: 2, seed: 0, rounds: 10, keep: 0.85 } as const

export type On = (p: Progress) => void

/** A network that variants are pruned from. */
interface Source {
  /** The dense network, or what training made of it. */
  readonly source: Graph
  readonly subject: Prunable
  readonly scores: readonly Float64Array[]
  /** By the profile, where one is given. */
  readonly latency?: LatencyModel
}

/** What all variants of one run share. */
export interface Run extends Source {
  readonly options: FitOptions
  readonly criterion: string
  readonly dense: Graph
  /** Whose answers training follows beside the labels; none where they alone are better. */
  readonly teacher?: Graph
  readonly data: { readonly rest: Dataset; readonly held: Dataset }
  readonly judge: Dataset
  readonly denseAnswers: Evaluation
  readonly points: Point[]
  readonly times?: OperatorTimes
  /** The machine of the profile where it is not this one: then latency is expected, and not measured here. */
  readonly elsewhere?: string
  readonly ledger: Ledger
  readonly on: On
  readonly signal?: AbortSignal
}

/** Reads model and data, ranks the units and evaluates the dense network. */
export async function prepare(options: FitOptions, on: On, signal?: AbortSignal): Promise<Run> {
  const seed = options.seed ?? DEFAULTS.seed
  on({ stage: 'read', done: 0, total: 1, message: 'reading model and data' })
  const times = options.profile === undefined ? undefined : await readTimes(options.profile)
  const original = await readModelFile(options.model)
  const load = (spec: string) =>
    loadDataset(original, spec, {
      ...options.load,
      on: (done, total) => on({ stage: 'read', done, total, message: `reading ${spec}` }),
      signal,
    })
  const all = await load(options.data)
  const data = holdOut(all, seed)
  const judge = options.eval ? await load(options.eval) : data.held
  if (options.eval) await requireDistinct(all, judge)
  const dense = withPreprocess(original, all.preprocess ?? preprocessOf(original))
  const criterion = options.criterion ?? defaultCriterion(all)
  const source = await ranked(dense, { options, criterion, data, times, on })
  on({ stage: 'evaluate', done: 0, total: judge.count, message: 'evaluating the dense network' })
  const denseAnswers = await evaluate(dense, judge, {
    on: (done, total) => on({ stage: 'evaluate', done, total, message: 'evaluating the dense network' }),
    signal,
  })
  const ledger = await Ledger.open(options)
  return {
    ...source,
    options,
    criterion,
    dense,
    teacher: isTaughtByLabels(all, dense) ? undefined : dense,
    data,
    judge,
    denseAnswers,
    points: [],
    times,
    elsewhere: times && !isOfHere(times) ? times.machine : undefined,
    ledger,
    on,
    signal,
  }
}

/** A network with its units ranked. */
export async function ranked(
  source: Graph,
  { options, criterion, data, times, on }: Pick<Run, 'options' | 'criterion' | 'data' | 'times' | 'on'>,
): Promise<Source> {
  const subject = await prunable(source, options.load?.shapes)
  on({ stage: 'saliency', done: 0, total: 1, message: `ranking units by ${criterion}` })
  const scores = await saliency(criterion, subject.coupling, data.rest, options.seed ?? DEFAULTS.seed)
  return { source, subject, scores, latency: times && latencyModel(times, subject.coupling) }
}

/**
 * Whether the dense network itself learns from labels alone: its own answers as they were would hold it back. Where it has further
 * outputs, which no label is for, they are what keeps those.
 */
const isTaughtByLabels = (data: Dataset, { outputs }: Graph) => isLabelled(data) && outputs.length === 1

/** The graph fine-tuned by the recipe of the run, if that made it better. */
export async function tuned(run: Run, graph: Graph, variant: string, checkpoint?: string) {
  const { options, data, teacher, on, signal } = run
  const epochs = options.epochs ?? DEFAULTS.epochs
  if (epochs === 0) return { graph, better: false }
  const { teacherShare, temperature, ...training } = options.training ?? {}
  return fineTune(
    graph,
    data,
    {
      ...TRAINING,
      ...given(training),
      ...{ epochs, checkpoint, seed: options.seed ?? DEFAULTS.seed },
      teacher: teacher && { graph: teacher, share: teacherShare, temperature },
    },
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

export function accuracyOf({ dense, judge }: Run, { n, top1, loss, classes }: Evaluation): Accuracy {
  const names = judge.classNames ?? labelsOf(dense)
  return { n, top1, loss, classes: classes.map((c, i) => ({ name: names[i] ?? String(i), ...c })) }
}

/** Class names that a model carries, as the sample does. */
function labelsOf(graph: Graph): readonly string[] {
  const text = graph.metadata.get('espalier.labels')
  const list: unknown = text ? JSON.parse(text) : []
  return Array.isArray(list) ? list.map(String) : []
}

/** Where a candidate is written while it is measured. */
export const scratch = ({ options }: Run) => join(options.out, `.candidate-${process.pid}.onnx`)

/** A variant's name: the network's, and its limits. */
export function nameOf(
  {
    model,
    recipe,
    name = basename(model).replace(/\.onnx$/i, ''),
  }: Pick<FitOptions, 'model' | 'name' | 'recipe'>,
  { memoryBytes, macs, params, artifactBytes, latencyMs }: VariantLimits,
): string {
  const parts = name === '' ? [] : [name]
  const mega = (v: number) => `${+(v / 1e6).toPrecision(4)}MB`
  if (memoryBytes !== undefined) parts.push(mega(memoryBytes))
  if (macs !== undefined) parts.push(`macs${+(macs * 100).toPrecision(4)}`)
  if (params !== undefined) parts.push(`params${+(params * 100).toPrecision(4)}`)
  if (artifactBytes !== undefined) parts.push(`artifact${mega(artifactBytes)}`)
  if (latencyMs !== undefined) parts.push(`${+latencyMs.toPrecision(4)}ms`)
  if (recipe && (recipe.schedule !== 'one-shot' || parts.length === 0)) parts.push(recipe.schedule)
  return parts.join('-')
}

/** Only what was said: an option that is undefined would hide a default. */
export const given = <T extends object>(options: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(options ?? {}).filter(([, v]) => v !== undefined)) as Partial<T>
