import { join } from 'node:path'
import { type Graph, type Tensor, tensor } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { run } from '@espalier/server/compiler/runtime/index.js'
import { openStep } from '@espalier/server/compiler/train/blocks.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'
import { arraysOf, crossEntropy, FOLDER, oneHot, type Peer, peersIn, TARGETS } from './parts/peers.js'

export const about =
  "gradients of whole networks against PyTorch's, which training/peer.py wrote to --folder; --only NETWORK"

/** By mode: BatchNormalization by the file's statistics, or by the batch's. */
const modes = { eval: 'frozen', train: 'batch' } as const

/**
 * For each network, the loss of one batch and the gradient of every parameter, both relative to PyTorch's: the norm of the
 * difference over the norm. `worst` is the parameter that is furthest off among those whose gradient is no rounding error
 * (more than a millionth of the whole).
 */
export default async function gradients(options: Readonly<Record<string, string>>) {
  const folder = options.folder ?? FOLDER
  const networks: Record<string, object> = {}
  for (const peer of peersIn(folder).filter((p) => !options.only || p.name === options.only)) {
    const graph = await readModelFile(join(folder, `${peer.name}.onnx`))
    const arrays = arraysOf(folder, peer)
    const result: Record<string, object> = {}
    for (const mode of ['eval', 'train'] as const) result[mode] = await compared(peer, graph, arrays, mode)
    networks[peer.name] = result
  }
  return { networks }
}

async function compared(
  peer: Peer,
  graph: Graph,
  arrays: ReadonlyMap<string, Tensor>,
  mode: keyof typeof modes,
) {
  const given = arrays.get('x')!
  const tg = await trainingGraph(graph, {
    shapes: new Map([['x', given.dims]]),
    batchNorm: modes[mode],
    loss: crossEntropy(peer.kind),
  })
  const [{ dims }] = tg.outputs.values()
  const labels = arrays.get('labels')!.data as Int32Array
  const x =
    peer.kind === 'tokens'
      ? tensor('int64', given.dims, BigInt64Array.from(given.data as Int32Array, BigInt))
      : given
  const feeds: Record<string, Tensor> = { x }
  feeds[TARGETS] = { dtype: 'float32', dims, data: oneHot(peer.kind, labels, dims) }
  for (const name of tg.gradients.keys()) feeds[name] = graph.constant(name)!
  const session = await openStep(tg.graph)
  const results = await run(session, feeds)
  await session.release()
  const loss = results[tg.loss].data[0] as number
  const wanted = arrays.get(`${mode}.loss`)!.data[0] as number
  const parameters = [...arrays.keys()].filter((k) => k.startsWith(`${mode}.gradient.`))
  const rows = parameters.map((key) => {
    const name = key.slice(`${mode}.gradient.`.length)
    const reference = arrays.get(key)!.data as Float32Array
    const output = tg.gradients.get(name)
    const own = output ? (results[output].data as Float32Array) : undefined
    let [squares, off] = [0, 0]
    for (let i = 0; i < reference.length; i++) {
      squares += reference[i] ** 2
      off += ((own?.[i] ?? 0) - reference[i]) ** 2
    }
    return { name, squares, off, isMissing: !own }
  })
  const whole = rows.reduce((sum, r) => sum + r.squares, 0)
  const relative = rows
    .filter((r) => r.squares > 1e-12 * whole)
    .map((r) => ({ name: r.name, error: Math.sqrt(r.off / r.squares) }))
    .sort((a, b) => b.error - a.error)
  return {
    parameters: rows.length,
    missing: rows.filter((r) => r.isMissing).map((r) => r.name),
    lossError: Math.abs(loss - wanted) / Math.abs(wanted),
    gradientError: Math.sqrt(rows.reduce((sum, r) => sum + r.off, 0) / whole),
    worst: relative[0],
  }
}
