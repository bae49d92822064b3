import { loadDataset } from '../compiler/data/index.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { type Evaluation, evaluate } from '../compiler/runtime/index.js'
import { type Define, interruption, outputOf } from './command.js'
import { addDataOptions, type DataOptions, loadOptionsOf } from './data-options.js'
import { facts, show, table } from './output.js'

interface Options extends DataOptions {
  readonly data: string
  readonly json?: boolean
}

export const command: Define = (c) => {
  addDataOptions(c.argument('<model>', 'an ONNX classifier').requiredOption('--data <D>', 'labelled data'))
    .addHelpText(
      'after',
      `
  espalier eval model.onnx --data idx:t10k-images,t10k-labels
  espalier eval model.onnx --data images:photos/test#first=500 --json`,
    )
    .action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const signal = interruption()
  const progress = out.progress()
  const graph = await readModelFile(model)
  const data = await loadDataset(graph, options.data, {
    ...loadOptionsOf(options),
    on: (done, total) => progress.update('reading', done, total),
    signal,
  })
  const on = (done: number, total: number) => progress.update('evaluating', done, total)
  const result = await evaluate(graph, data, { on, signal }).finally(() => progress.done())
  const { n, top1, loss, seconds, classes } = result
  const byClass = classes.map((c, i) => ({ class: data.classNames?.[i] ?? labelOf(graph.metadata, i), ...c }))
  out.result({ n, top1, loss, seconds, classes: byClass }, () => describe(result, byClass))
}

/** The class's name in the metadata that Espalier's models carry, or its number. */
function labelOf(metadata: ReadonlyMap<string, string>, i: number): string {
  try {
    const labels: unknown = JSON.parse(metadata.get('espalier.labels') ?? '[]')
    return Array.isArray(labels) && typeof labels[i] === 'string' ? labels[i] : String(i)
  } catch (cause) {
    if (cause instanceof SyntaxError) return String(i)
    throw cause
  }
}

interface ClassRow {
  readonly class: string
  readonly n: number
  readonly right: number
}

function describe(result: Evaluation, classes: readonly ClassRow[]): string {
  const summary = facts({
    samples: result.n,
    'top-1': show.percent(result.top1),
    loss: result.loss?.toFixed(4),
    seconds: result.seconds.toFixed(1),
  })
  if (classes.length === 0)
    return result.loss === null ? `${summary}\n\nThe data have no labels, so there is no accuracy.` : summary
  const columns = table(classes, [
    ['class', (c) => c.class],
    ['samples', (c) => c.n],
    ['right', (c) => c.right],
    ['top-1', (c) => (c.n === 0 ? null : show.percent(c.right / c.n))],
  ])
  return `${summary}\n\n${columns}`
}
