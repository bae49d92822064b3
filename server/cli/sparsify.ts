import { EspalierError } from '@espalier/shared'
import {
  type Dataset,
  holdOut,
  loadDataset,
  requireDistinct,
  withPreprocess,
} from '../compiler/data/index.js'
import type { Graph } from '../compiler/graph/index.js'
import { readModelFile, writeModelFile } from '../compiler/onnx/index.js'
import { type SparsifyResult, sparseLayers, sparsify, sparsifyCriteria } from '../compiler/recipes/index.js'
import { evaluate } from '../compiler/runtime/index.js'
import { type Pattern, removeCheckpoint, type Scope, scopes } from '../compiler/train/index.js'
import { count, type Define, interruption, oneOf, outputOf, share } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { atMost, facts, show, table } from './output.js'
import { requirePlaces } from './places.js'
import { addTrainingOptions, type TrainingOptions, trainingOf } from './training-options.js'
import { TrainingView } from './training-view.js'

interface Options extends DataOptions, TrainingOptions {
  readonly output: string
  readonly sparsity?: number
  readonly pattern?: Pattern
  readonly criterion: string
  readonly scope: Scope
  readonly data?: string
  readonly eval?: string
  readonly finetune: number
  readonly gradual?: boolean
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(c)
    .argument('<model>', 'an ONNX file')
    .requiredOption('-o, --output <file>', 'where the sparse network goes')
    .option('--sparsity <share>', 'the share of the weights that becomes zero, for example 0.9', share)
    .option(
      '--pattern <n:m>',
      'instead: n of each m weights along the input of a layer stay, for example 2:4',
      pattern,
    )
    .option(
      '--criterion <name>',
      `which go: ${sparsifyCriteria.join(', ')}`,
      oneOf('a criterion', sparsifyCriteria),
      'magnitude',
    )
    .option(
      '--scope <layer|global|erk>',
      'the same share in each layer, the lowest anywhere, or less of small layers (Erdős–Rényi kernel)',
      oneOf('a scope', scopes),
      'layer',
    )
    .option('--data <D>', 'what criteria of the loss and --finetune look at')
    .option('--eval <D>', 'data for top-1 before and after; a tenth of --data is held out if not given')
    .option('--finetune <epochs>', 'train so long afterwards, zeros staying zero', count, 0)
    .option('--gradual', 'with --finetune: zeros become more over the first two thirds of it')
  addTrainingOptions(c)
    .addHelpText(
      'after',
      `
Sets single weights of convolutions and matrix products to zero; shapes stay, and so do speed and memory: what becomes
smaller is the file once it is packed or compressed. magnitude, taylor, fisher, obd and random choose at once, by a score;
movement, soft-movement and str choose while they train, and need --finetune. Ctrl-C stops; the same call goes on from
OUTPUT.checkpoint.

  espalier sparsify model.onnx -o sparse.onnx --sparsity 0.8
  espalier sparsify model.onnx -o sparse.onnx --pattern 2:4 --data images:photos --finetune 2
  espalier sparsify model.onnx -o sparse.onnx --sparsity 0.95 --scope global --gradual --data images:photos --finetune 8
  espalier sparsify model.onnx -o sparse.onnx --sparsity 0.9 --criterion movement --data npz:task.npz --finetune 6`,
    )
    .action(run)
}

async function run(model: string, options: Options): Promise<void> {
  requirePlaces(model, { model: options.output })
  const out = outputOf(options)
  const signal = interruption()
  const progress = out.progress()
  const view = new TrainingView(progress)
  try {
    const graph = await readModelFile(model)
    const { data, held } = await dataOf(
      graph,
      options,
      (what, n, all) => progress.update(what, n, all),
      signal,
    )
    const judged = async (network: Graph) => {
      if (!held?.labels && !held?.targets) return { top1: null, loss: null }
      const on = (n: number, all: number) => progress.update('evaluating', n, all)
      const { top1, loss } = await evaluate(network, held, { on, signal })
      return { top1, loss }
    }
    const before = { ...totals(sparseLayers(graph)), ...(await judged(graph)) }
    const checkpoint = `${options.output}.checkpoint`
    progress.update('choosing weights')
    const result = await sparsify(
      graph,
      {
        ...{ sparsity: options.sparsity, pattern: options.pattern, criterion: options.criterion },
        ...{
          scope: options.scope,
          data,
          epochs: options.finetune,
          gradual: options.gradual,
          seed: options.seed,
        },
        training: { ...trainingOf(options), checkpoint, keepCheckpoint: true },
      },
      (p) => view.update(p),
      signal,
    )
    const after = { ...totals(result.layers), ...(await judged(result.graph)) }
    const made = data ? withPreprocess(result.graph, data.preprocess) : result.graph
    const fileBytes = await writeModelFile(made, options.output)
    removeCheckpoint(checkpoint)
    progress.done()
    const { sparsity, layers, history } = result
    const note = ofStarved(result)
    const training = history && {
      steps: history.steps,
      lossFirst: history.lossFirst,
      lossLast: history.lossLast,
    }
    out.result({ before, after, sparsity, layers, ...training, fileBytes }, () =>
      [
        layerTable(layers),
        '',
        facts({
          zero: `${after.zeros} of ${after.weights} weights, ${show.percent(sparsity)}`,
          'top-1':
            before.top1 === null ? undefined : `${show.percent(before.top1)} → ${show.percent(after.top1)}`,
          ...(before.top1 === null &&
            before.loss !== null && {
              loss: `${before.loss.toPrecision(4)} → ${after.loss?.toPrecision(4)}`,
            }),
          ...(note !== undefined && { note }),
          written: `${options.output}, ${show.bytes(fileBytes)}`,
        }),
      ].join('\n'),
    )
  } finally {
    progress.done()
  }
}

/** What is trained on, and what is judged by. */
async function dataOf(
  graph: Graph,
  options: Options,
  on: (what: string, done: number, total: number) => void,
  signal: AbortSignal,
): Promise<{ data?: Dataset; held?: Dataset }> {
  const load = (spec: string) =>
    loadDataset(graph, spec, {
      ...loadOptionsOf(options),
      on: (n, all) => on(`reading ${spec}`, n, all),
      signal,
    })
  const given = options.eval ? await load(options.eval) : undefined
  if (!options.data) return { held: given }
  const data = await load(options.data)
  if (given) {
    await requireDistinct(data, given)
    return { data, held: given }
  }
  const { rest, held } = holdOut(data, options.seed)
  return { data: rest, held }
}

function totals(layers: SparsifyResult['layers']) {
  const sum = (of: 'weights' | 'zeros') => layers.reduce((n, l) => n + l[of], 0)
  return { weights: sum('weights'), zeros: sum('zeros') }
}

/** What to do where the lowest weights of all are nearly all that some layers have, as where BatchNormalization is folded away. */
function ofStarved({ layers, sparsity }: SparsifyResult): string | undefined {
  const starved = layers.filter(({ zeros, weights }) => 1 - zeros / weights < (1 - sparsity) / 10)
  if (starved.length === 0) return undefined
  const names = starved.map((layer) => layer.weight)
  return `hardly anything is left of ${atMost(names, 3)}; --scope erk leaves small layers more, layer the same share of each`
}

const layerTable = (layers: SparsifyResult['layers']) =>
  table(layers, [
    ['weight', (l) => l.weight],
    ['weights', (l) => l.weights],
    ['zero', (l) => show.percent(l.zeros / l.weights)],
  ])

function pattern(text: string): Pattern {
  const [, n, m] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (n && Number(n) > 0 && Number(n) < Number(m)) return { n: Number(n), m: Number(m) }
  throw new EspalierError('OPTION_INVALID', `'${text}' is not a pattern: n:m with n below m, for example 2:4`)
}
