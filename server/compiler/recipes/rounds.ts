import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { allocate, BudgetUnreachable, costWithout } from '../budget/index.js'
import { preprocessOf, withPreprocess } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import type { VariantLimits } from '../limits.js'
import { writeModelFile } from '../onnx/index.js'
import { agreement, evaluate } from '../runtime/index.js'
import { prunable, pruned, verifyShapes } from '../surgery/index.js'
import { refreshStatistics } from '../train/index.js'
import { sizesOf } from './measure.js'
import { corrected } from './meet-memory.js'
import type { RoundResult, VariantResult } from './options.js'
import { untouched } from './repair.js'
import { accuracyOf, DEFAULTS, nameOf, type Run, tuned } from './run.js'
import { saliency } from './saliency.js'
import { FolderShelf } from './shelf.js'

/** Shares of the dense network's MACs and parameters. */
interface Shares {
  readonly macs: number
  readonly params: number
}

/** A network after a round, and what it is worth. */
interface Held extends RoundResult {
  readonly graph: Graph
  /** Share of the saliency that every round so far left. */
  readonly saliency: number
}

/**
 * One variant in rounds of pruning and training, by the recipe of the run: `gradual` reaches its limit by the cubic schedule
 * of Zhu and Gupta 2017; `iterative` takes a share away each round (Molchanov et al. 2017) and gives the last network that
 * held its allowance. Every round ranks the units of the network that the last one left.
 * @throws DATA_UNLABELLED for an allowance
 */
export async function variantInRounds(run: Run, asked: VariantLimits): Promise<VariantResult> {
  const { options, judge, denseAnswers, points, on, signal } = run
  const variant = nameOf(options, asked)
  const shelf = await FolderShelf.open(
    join(options.out, '.rounds'),
    await readFile(options.model),
    JSON.stringify({ ...options, variants: [asked] }),
  )
  const { held, rounds, spent, top1Pruned } = await inRounds(run, asked, variant, shelf)
  on({ stage: 'evaluate', done: 0, total: 1, message: 'evaluating', variant })
  const answers = await evaluate(held.graph, judge, { signal })
  const path = join(options.out, `${variant}.onnx`)
  await writeModelFile(held.graph, path)
  on({ stage: 'measure', done: 0, total: 1, message: 'measuring memory and latency', variant })
  const ram = corrected(points)
  const shapes = options.load?.shapes
  const predict = (predictedRamBytes: number) =>
    ram({ ...costWithout(run.subject.coupling, []), predictedRamBytes })
  const sizes = await sizesOf(held.graph, path, predict, shapes, signal)
  const left = (await prunable(held.graph, shapes)).coupling
  const labels = new Map(left.groups.map((g) => [g.label, g.units.length]))
  const branches = new Set(left.blocks.map((b) => b.label))
  await shelf.clear()
  return {
    ...{ name: variant, file: path, limits: asked, memoryBudgetBytes: null },
    bound: asked.macs !== undefined ? 'macs' : asked.params !== undefined ? 'params' : null,
    saliency: held.saliency,
    ...sizes,
    ...{ artifactBytes: sizes.fileBytes, expectedMs: null },
    ...accuracyOf(run, answers),
    top1Pruned,
    repair: { ...untouched, top1Pruned, top1Statistics: null, top1Repaired: null },
    agreement: agreement(answers, denseAnswers),
    groups: run.subject.coupling.groups.map(({ label, units }) => ({
      ...{ label, of: units.length },
      kept: labels.get(label) ?? 1,
    })),
    blocks: run.subject.coupling.blocks.map(({ label }) => ({ label, kept: branches.has(label) })),
    rounds,
    recipe: described(run, held.round, spent),
  }
}

async function inRounds(run: Run, asked: VariantLimits, variant: string, shelf: FolderShelf) {
  const { options, dense, source, data, on, signal } = run
  const { recipe } = options
  const shapes = options.load?.shapes
  const rounds = (recipe && 'rounds' in recipe ? recipe.rounds : undefined) ?? DEFAULTS.rounds
  const allowance = recipe?.schedule === 'iterative' ? recipe.allowance : undefined
  if (allowance !== undefined && !data.held.labels)
    throw new EspalierError('DATA_UNLABELLED', 'an allowance is about top-1, and so needs labelled --data')
  const whole = costWithout(run.subject.coupling, [])
  const top1 = async (graph: Graph) => (await evaluate(graph, data.held, { signal })).top1
  const least = allowance === undefined ? 0 : ((await top1(dense)) ?? 0) - allowance
  let held: Held = { graph: source, round: 0, macs: 1, params: 1, top1: null, saliency: 1 }
  const history: RoundResult[] = []
  let top1Pruned: number | null = null
  for (let round = 1; round <= rounds; round++) {
    const aim = aimOf(run, asked, held, round, rounds)
    if (!aim) break
    on({ stage: 'round', done: round - 1, total: rounds, message: `round ${round} of ${rounds}`, variant })
    const subject = await prunable(held.graph, shapes)
    const scores = await saliency(run.criterion, subject.coupling, data.rest, options.seed ?? DEFAULTS.seed)
    const limits = {
      macs: aim.macs === undefined ? undefined : aim.macs * whole.macs,
      params: aim.params === undefined ? undefined : aim.params * whole.params,
    }
    const found = allocated(subject.coupling, scores, limits, options)
    if (!found || found.removed.size === 0) break
    const thinned = withPreprocess(pruned(subject, found.removed), preprocessOf(dense))
    await verifyShapes(subject, found.removed, thinned)
    const graph = await shelf.graph(
      `${variant}-${round}`,
      async () =>
        (await tuned(run, await refreshStatistics(thinned, data.rest), variant, shelf.checkpoint(variant)))
          .graph,
    )
    const now = await shelf.figure(`${variant}-${round}`, () => top1(graph))
    if (allowance !== undefined && (now ?? 0) < least)
      return { held, rounds: history, spent: true, top1Pruned }
    top1Pruned = await shelf.figure(
      `${variant}-${round}-pruned`,
      async () => (await evaluate(thinned, run.judge, { signal })).top1,
    )
    const { macs, params } = found.footprint
    history.push({ round, macs: macs / whole.macs, params: params / whole.params, top1: now })
    held = { ...history[history.length - 1], graph, saliency: held.saliency * found.saliency }
  }
  return { held, rounds: history, spent: false, top1Pruned }
}

/** What a round aims at; undefined where the limits are met. */
function aimOf(
  { options: { recipe } }: Run,
  { macs, params }: VariantLimits,
  now: Shares,
  round: number,
  rounds: number,
): { macs?: number; params?: number } | undefined {
  if (recipe?.schedule === 'gradual') {
    const left = (1 - round / rounds) ** 3
    const aim = (share?: number) => (share === undefined ? undefined : share + (1 - share) * left)
    return { macs: aim(macs), params: aim(params) }
  }
  const limited = macs !== undefined || params !== undefined
  const met = (share: number | undefined, is: number) => share === undefined || is <= share
  if (limited && met(macs, now.macs) && met(params, now.params)) return undefined
  const keep = (recipe?.schedule === 'iterative' ? recipe.keep : undefined) ?? DEFAULTS.keep
  if (!limited) return { macs: keep * now.macs }
  const aim = (share: number | undefined, is: number) => share && Math.max(share, keep * is)
  return { macs: aim(macs, now.macs), params: aim(params, now.params) }
}

/** undefined where not even the floor holds the limits. */
function allocated(
  coupling: Parameters<typeof allocate>[0],
  scores: readonly Float64Array[],
  limits: { macs?: number; params?: number },
  { round = DEFAULTS.round, depth }: Run['options'],
) {
  try {
    return allocate(coupling, scores, limits, { round, depth })
  } catch (thrown) {
    if (thrown instanceof BudgetUnreachable) return undefined
    throw thrown
  }
}

function described({ options, criterion }: Run, rounds: number, spent: boolean): string {
  const { recipe, epochs = DEFAULTS.epochs, round = DEFAULTS.round, seed = DEFAULTS.seed } = options
  const end = spent ? ', where the allowance was spent' : ''
  return `${recipe?.schedule}, ${rounds} rounds of ${epochs} epochs${end}; units by ${criterion}, multiples of ${round}; seed ${seed}`
}
