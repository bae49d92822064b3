import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Coupling, type Explanation, explain } from '../compiler/analysis/index.js'
import { elementCount, type Graph, shortened, type Value } from '../compiler/graph/index.js'
import { readModelFile, writeFiles } from '../compiler/onnx/index.js'
import { prunable } from '../compiler/surgery/index.js'
import { type Define, outputOf } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { atMost, facts, show, table } from './output.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly all?: boolean
  readonly svg?: string
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument('<model>', 'an ONNX file')
    .option('--all', 'list every group and everything left whole')
    .option('--svg <file>', 'draw the network, layer by layer')
    .addHelpText(
      'after',
      `
A group holds units that may be ranked against each other; a unit is the smallest thing pruning can remove:
all the weights that have to go together. For each group: what one of its units frees when it goes alone, of
the weights' bytes, of the multiply–accumulates and of the activations' peak. A unit that is not alive where
memory peaks frees nothing there. A block is a residual branch, which can go as a whole because what it is added
to passes it by. What is left whole is listed with the operator that asks for it.

  espalier inspect model.onnx
  espalier inspect model.onnx --all
  espalier inspect model.onnx --svg model.svg
  espalier inspect model.onnx --shape x=1,3,48,192 --json`,
    )
    .action(inspect)
}

async function inspect(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const graph = await readModelFile(model)
  const { coupling } = await prunable(graph, options.shape)
  if (options.svg) {
    const { draw } = await import('../compiler/drawing/index.js')
    const svg = await draw(basename(model), { graph, shapes: coupling.shapes })
    await writeFiles(new Map([[options.svg, svg]]))
  }
  const { dense, floor, groups, blocks, undescribed, peakAt } = explain(coupling)
  const wholeParams = coupling.whole.reduce((sum, w) => sum + sizeOf(coupling, w.tensor), 0)
  const result = {
    ...dense,
    floorRamBytes: floor.predictedRamBytes,
    floor,
    fileBytes: (await stat(model)).size,
    opset: graph.opset,
    inputs: graph.inputs.map(described),
    outputs: graph.outputs.map(described),
    ops: countsOf(graph),
    units: coupling.groups.reduce((n, g) => n + g.units.length, 0),
    /** Of the parameters: those in tensors that units slice. */
    prunableShare: dense.params > 0 ? 1 - wholeParams / dense.params : 0,
    /** Of parameters and MACs: what goes when one unit is left in every group, and no block. */
    prunableParamsShare: dense.params > 0 ? 1 - floor.params / dense.params : 0,
    prunableMacsShare: dense.macs > 0 ? 1 - floor.macs / dense.macs : 0,
    peakAt: peakAt.map((n) => n.name),
    groups,
    blocks,
    unprunable: coupling.whole.map((w) => ({ ...w, params: sizeOf(coupling, w.tensor) })),
    undescribed,
  }
  out.result(result, () => describe(result, options.all ?? false))
}

const sizeOf = ({ graph }: Coupling, tensor: string) => elementCount(graph.constant(tensor)?.dims ?? [0])
const described = ({ name, dtype, dims }: Value) => ({ name, dtype, dims })

function countsOf(graph: Graph): Record<string, number> {
  const ops: Record<string, number> = {}
  for (const n of graph.nodes) {
    const name = n.domain ? `${n.domain}.${n.op}` : n.op
    ops[name] = (ops[name] ?? 0) + 1
  }
  return ops
}

interface Result extends Pick<Explanation, 'floor' | 'groups' | 'blocks' | 'undescribed'> {
  readonly params: number
  readonly macs: number
  readonly fileBytes: number
  readonly peakActivationBytes: number
  readonly predictedRamBytes: number
  readonly opset: number
  readonly inputs: readonly ReturnType<typeof described>[]
  readonly outputs: readonly ReturnType<typeof described>[]
  readonly ops: Readonly<Record<string, number>>
  readonly units: number
  readonly prunableParamsShare: number
  readonly prunableMacsShare: number
  readonly peakAt: readonly string[]
  readonly unprunable: readonly (Coupling['whole'][number] & { params: number })[]
}

const whole = (v: number) => Math.round(v).toLocaleString('en')

function describe(r: Result, all: boolean): string {
  const value = (v: Result['inputs'][number]) =>
    `${shortened(v.name, 40)} ${v.dtype} [${v.dims?.join(', ') ?? '?'}]`
  const peak = show.bytes(r.peakActivationBytes)
  return [
    facts({
      inputs: r.inputs.map(value).join('; '),
      outputs: r.outputs.map(value).join('; '),
      parameters: whole(r.params),
      MACs: whole(r.macs),
      file: show.bytes(r.fileBytes),
      'activations at their peak': r.peakAt.length > 0 ? `${peak}, at ${atMost(r.peakAt, 3)}` : peak,
      'predicted memory': `${show.bytes(r.predictedRamBytes)}, ${show.bytes(r.floor.predictedRamBytes)} with one unit a group${r.blocks.length > 0 ? ' and no block' : ''}`,
      opset: r.opset,
      operators: Object.entries(r.ops)
        .sort(([, a], [, b]) => b - a)
        .map(([op, n]) => `${op} ${n}`)
        .join(', '),
      prunable:
        `${show.percent(r.prunableParamsShare)} of the parameters and ${show.percent(r.prunableMacsShare)} of the MACs, ` +
        `in ${r.units} units of ${r.groups.length} groups${r.blocks.length > 0 ? ` and ${r.blocks.length} blocks` : ''}`,
    }),
    '',
    ...groupsTable(r.groups, all),
    ...blocksTable(r.blocks, all),
    ...wholeTable(r.unprunable, all),
    ...undescribedLines(r.undescribed),
    '',
    'Next: espalier prune MODEL -o OUT --keep 0.5 --check',
  ].join('\n')
}

/** Rows that are shown unless all are asked for. */
const shownRows = 20

function cut<Row>(rows: readonly Row[], all: boolean): { shown: readonly Row[]; more: string[] } {
  if (all || rows.length <= shownRows) return { shown: rows, more: [] }
  return { shown: rows.slice(0, shownRows), more: [`${rows.length - shownRows} more: --json / --all`] }
}

/** The groups, those first whose units together free most. */
function groupsTable(groups: Result['groups'], all: boolean): string[] {
  if (groups.length === 0) return ['No units: nothing of this network can be pruned.', '']
  const frees = (g: Result['groups'][number]) => g.units * g.ramBytesPerUnit
  const { shown, more } = cut(
    [...groups].sort((a, b) => frees(b) - frees(a)),
    all,
  )
  const lowering = groups.filter((g) => g.peakBytesPerUnit > 0).length
  return [
    table(shown, [
      ['a unit is one of the', (g) => shortened(g.what, 120)],
      ['units', (g) => g.units],
      ['bytes a unit', (g) => show.bytes(g.bytesPerUnit)],
      ['MACs a unit', (g) => whole(g.macsPerUnit)],
      ['peak a unit', (g) => (g.peakBytesPerUnit > 0 ? show.bytes(g.peakBytesPerUnit) : null)],
      ['tensors [dimension]', (g) => atMost(g.dimensions.map(dimension), 1)],
    ]),
    ...more,
    lowering === 0
      ? 'No single unit lowers the peak of the activations: it is reached where none is alive, or at several nodes.'
      : `Units of ${lowering} of ${groups.length} groups lower the peak of the activations when they go alone.`,
    '',
  ]
}

/** The residual branches, in the network's order. */
function blocksTable(blocks: Result['blocks'], all: boolean): string[] {
  if (blocks.length === 0) return []
  const { shown, more } = cut(blocks, all)
  const holds = (b: Result['blocks'][number]) =>
    Object.entries(b.ops)
      .sort(([, x], [, y]) => y - x)
      .map(([op, n]) => (n > 1 ? `${n} ${op}` : op))
  return [
    table(shown, [
      ['block added by', (b) => shortened(b.label, 40)],
      ['with', (b) => atMost(holds(b), 4)],
      ['bytes', (b) => show.bytes(b.bytes)],
      ['MACs', (b) => whole(b.macs)],
      ['peak', (b) => (b.peakBytes > 0 ? show.bytes(b.peakBytes) : null)],
    ]),
    ...more,
    '',
  ]
}

const dimension = (d: Result['groups'][number]['dimensions'][number]) =>
  `${shortened(d.tensor, 28)} [${d.dimension}]${d.indices > 1 ? ` ×${d.indices}` : ''}`

function wholeTable(unprunable: Result['unprunable'], all: boolean): string[] {
  if (unprunable.length === 0) return ['Nothing is left whole.']
  const { shown, more } = cut(
    [...unprunable].sort((a, b) => b.params - a.params),
    all,
  )
  return [
    table(shown, [
      ['left whole', (w) => shortened(w.tensor, 40)],
      ['elements', (w) => w.params],
      ['operator', (w) => shortened(w.operator, 24)],
      ['because', (w) => shortened(w.reason, all ? 400 : 120)],
    ]),
    ...more,
  ]
}

function undescribedLines(undescribed: Result['undescribed']): string[] {
  const nodes = new Map<string, string[]>()
  for (const { operator, node } of undescribed) nodes.set(operator, [...(nodes.get(operator) ?? []), node])
  if (nodes.size === 0) return []
  return [
    '',
    'Operators that nobody described, so that what they touch is left whole:',
    ...[...nodes].map(([operator, names]) => `  ${shortened(operator, 40)}: ${atMost(names, 5)}`),
  ]
}
