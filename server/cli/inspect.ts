import { stat } from 'node:fs/promises'
import { type Coupling, costOf, footprintOf, type Group } from '../compiler/analysis/index.js'
import { elementCount, type Value } from '../compiler/graph/index.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { prunable } from '../compiler/surgery/index.js'
import { type Define, outputOf } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { facts, show, table } from './output.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument('<model>', 'an ONNX file')
    .addHelpText(
      'after',
      `
A group holds units that may be ranked against each other; a unit is the smallest thing pruning can remove:
all the weights that have to go together. What is left whole is listed with the operator that asks for it.

  espalier inspect model.onnx
  espalier inspect model.onnx --shape x=1,3,48,192 --json`,
    )
    .action(inspect)
}

async function inspect(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const graph = await readModelFile(model)
  const { coupling } = await prunable(graph, options.shape)
  const dense = footprintOf(graph, coupling.shapes.dims, coupling.shapes)
  const { params } = dense
  const oneEach = coupling.groups.flatMap((g) => g.units.slice(1))
  const floor = footprintOf(coupling.graph, coupling.dims(oneEach), coupling.shapes)
  const ops: Record<string, number> = {}
  for (const n of graph.nodes) {
    const name = n.domain ? `${n.domain}.${n.op}` : n.op
    ops[name] = (ops[name] ?? 0) + 1
  }
  const wholeParams = coupling.whole.reduce((sum, w) => sum + sizeOf(coupling, w.tensor), 0)
  const result = {
    ...dense,
    floorRamBytes: floor.predictedRamBytes,
    fileBytes: (await stat(model)).size,
    opset: graph.opset,
    inputs: graph.inputs.map(described),
    outputs: graph.outputs.map(described),
    ops,
    units: coupling.groups.reduce((n, g) => n + g.units.length, 0),
    prunableShare: params > 0 ? 1 - wholeParams / params : 0,
    groups: groupsOf(coupling),
    unprunable: coupling.whole.map((w) => ({ ...w, params: sizeOf(coupling, w.tensor) })),
  }
  out.result(result, () => describe(result))
}

const sizeOf = ({ graph }: Coupling, tensor: string) => elementCount(graph.constant(tensor)?.dims ?? [0])
const described = ({ name, dtype, dims }: Value) => ({ name, dtype, dims })

/** The groups, with what one unit frees by itself: the mean over a group of which one unit is left. */
function groupsOf(coupling: Coupling) {
  const { graph, shapes } = coupling
  const all = costOf(graph, coupling.dims([]), shapes)
  return coupling.groups.map((group: Group) => {
    const gone = group.units.slice(1)
    const left = costOf(graph, coupling.dims(gone), shapes)
    const each = (was: number, is: number) => (gone.length > 0 ? (was - is) / gone.length : 0)
    return {
      id: group.id,
      label: group.label,
      units: group.units.length,
      tensors: group.tensors,
      bytesPerUnit: each(all.weightBytes, left.weightBytes),
      macsPerUnit: each(all.macs, left.macs),
    }
  })
}

type Result = Parameters<typeof describe>[0]
function describe(r: {
  params: number
  macs: number
  fileBytes: number
  peakActivationBytes: number
  predictedRamBytes: number
  floorRamBytes: number
  opset: number
  inputs: ReturnType<typeof described>[]
  outputs: ReturnType<typeof described>[]
  ops: Record<string, number>
  units: number
  prunableShare: number
  groups: ReturnType<typeof groupsOf>
  unprunable: (Coupling['whole'][number] & { params: number })[]
}): string {
  const whole = (v: number) => Math.round(v).toLocaleString('en')
  const value = (v: Result['inputs'][number]) => `${v.name} ${v.dtype} [${v.dims?.join(', ') ?? '?'}]`
  return [
    facts({
      inputs: r.inputs.map(value).join('; '),
      outputs: r.outputs.map(value).join('; '),
      parameters: whole(r.params),
      MACs: whole(r.macs),
      file: show.bytes(r.fileBytes),
      'activations at their peak': show.bytes(r.peakActivationBytes),
      'predicted memory': `${show.bytes(r.predictedRamBytes)}, ${show.bytes(r.floorRamBytes)} with one unit a group`,
      opset: r.opset,
      operators: Object.entries(r.ops)
        .sort(([, a], [, b]) => b - a)
        .map(([op, n]) => `${op} ${n}`)
        .join(', '),
      prunable: `${show.percent(r.prunableShare)} of the parameters, in ${r.units} units of ${r.groups.length} groups`,
    }),
    '',
    table(r.groups, [
      ['group', (g) => g.label],
      ['units', (g) => g.units],
      ['bytes a unit', (g) => show.bytes(g.bytesPerUnit)],
      ['MACs a unit', (g) => whole(g.macsPerUnit)],
      ['tensors', (g) => g.tensors.length],
    ]),
    '',
    r.unprunable.length === 0
      ? 'Nothing is left whole.'
      : table(r.unprunable, [
          ['left whole', (w) => w.tensor],
          ['elements', (w) => w.params],
          ['operator', (w) => w.operator],
          ['because', (w) => w.reason],
        ]),
    '',
    'Next: espalier prune MODEL -o OUT --keep 0.5 --check',
  ].join('\n')
}
