import {
  elementCount,
  floats,
  Graph,
  intAttribute,
  type Node,
  node,
  type Tensor,
  withAttributes,
} from '../graph/index.js'
import { Builder, TRAINING_OPSET } from '../ops/index.js'
import { openSession, run, type Session } from '../runtime/index.js'
import { shapesOf } from './shapes.js'

/**
 * onnxruntime's fast convolutions hold activations in blocks of channels, [N, C/16, H, W, 16] with AVX-512 (Georganas et al.
 * 2018, "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures"). It uses them of itself where weights are
 * constant; those of a training step are fed, or are gradients. The operators are its own affair: whether it has them, how large
 * a block is, and that they give what Conv gives, is asked of it once a process.
 */
const DOMAIN = 'com.microsoft.nchwc'
/** Channels are read in steps of so many. */
const ALIGNED = 4
/** Most channels computed for nothing, as shares of those that are there: of inputs, of all, and of a single block of outputs. */
const WASTE = { inputs: 4 / 3, all: 3 / 2, single: 4 }

let asked: Promise<number> | undefined

/** Channels of one block of the runtime's convolutions; 1 where it has none, or they are not as expected. */
export function blockSize(): Promise<number> {
  asked ??= probe().catch(() => 1)
  return asked
}

/** The same graph, its convolutions whose weights are no constants computed in blocks where that is quicker. */
export async function inBlocks(graph: Graph): Promise<Graph> {
  const block = await blockSize()
  return block === 1 ? graph : laidOut(graph, await shapesOf(graph), block)
}

/** A session for the steps of a training graph. */
export const openStep = async (graph: Graph): Promise<Session> => openSession(await inBlocks(graph))

type Dims = ReadonlyMap<string, readonly number[]>

/** A convolution with the counts of channels that it is computed with. */
interface Blocked {
  readonly isDepthwise: boolean
  /** Fewer inputs than a block are read where they lie. */
  readonly readsPlain: boolean
  readonly inputs: number
  readonly outputs: number
}

/** Measured over the shapes of LeNet-5, ResNet-20, MobileNets and of counts between blocks, with 16 channels a block. */
function blockedForm(graph: Graph, n: Node, dims: Dims, block: number): Blocked | undefined {
  if (n.op !== 'Conv' || n.domain !== '' || graph.initializers.has(n.inputs[1])) return undefined
  const [x, w] = n.inputs.map((name) => dims.get(name) ?? [])
  if (x.length !== 4 || w.length !== 4) return undefined
  const group = intAttribute(n, 'group', 1)
  const [channels, each] = w
  const whole = (count: number) => block * Math.ceil(count / block)
  const outputs = whole(channels)
  if (group > 1) {
    const isDepthwise = group === channels && each === 1 && new Builder('', block).blocks(group)
    return isDepthwise ? { isDepthwise, readsPlain: false, inputs: outputs, outputs } : undefined
  }
  // Products in themselves, and sums over large kernels for few places, are as quick or quicker plainly.
  const [taps, places] = [w, dims.get(n.outputs[0]) ?? []].map((d) => elementCount(d.slice(2)))
  if (taps === 1 || taps > places) return undefined
  const readsPlain = each < block
  const inputs = readsPlain ? each : whole(each)
  const share = outputs / channels
  const fits = inputs / each <= WASTE.inputs && (readsPlain || each % ALIGNED === 0)
  const few = outputs === block ? share <= WASTE.single : (share * inputs) / each <= WASTE.all
  return fits && few ? { isDepthwise: false, readsPlain, inputs, outputs } : undefined
}

function laidOut(graph: Graph, dims: Dims, block: number): Graph {
  const g = new Builder('blocks/')
  const values = new Map(graph.values)
  const note = (name: string, shape: readonly number[]) => {
    values.set(name, { name, dtype: 'float32', dims: shape })
    return name
  }
  const nodes = graph.nodes.flatMap((n) => {
    const form = blockedForm(graph, n, dims, block)
    if (!form) return [n]
    const from = g.nodes.length
    const [x, w, bias] = n.inputs
    const [y] = n.outputs
    const [batch, , ...input] = dims.get(x) ?? []
    const [, channels, ...output] = dims.get(y) ?? []
    const read = form.readsPlain ? x : note(toBlocks(g, x), [batch, form.inputs, ...input])
    const inputs = [read, weightInBlocks(g, w, dims.get(w) ?? [], form, block)]
    if (bias) inputs.push(g.pad(bias, [0, form.outputs - channels]))
    const computed = note(g.fresh('Conv'), [batch, form.outputs, ...output])
    const grouped = form.isDepthwise ? withAttributes(n, { group: form.outputs }) : n
    g.nodes.push(
      { ...grouped, name: computed, domain: DOMAIN, inputs, outputs: [computed], origin: undefined },
      node(
        'ReorderOutput',
        [computed],
        [note(y, [batch, channels, ...output])],
        { channels },
        { domain: DOMAIN },
      ),
    )
    return g.nodes.slice(from)
  })
  if (g.nodes.length === 0) return graph
  return graph.with({
    nodes,
    values,
    initializers: new Map([...graph.initializers, ...g.constants]),
    opsets: new Map([...graph.opsets, [DOMAIN, 1]]),
  })
}

const toBlocks = (g: Builder, x: string) => g.op('ReorderInput', [x], {}, DOMAIN)

/** [out, in, …kernel] as [out/16, in/16, …kernel, 16 in, 16 out]; where inputs are read plainly as [out/16, in, …kernel, 16 out]. */
function weightInBlocks(
  g: Builder,
  w: string,
  [outputs, each, ...kernel]: readonly number[],
  form: Blocked,
  block: number,
): string {
  // An activation of as many channels lies in blocks as the weights of a depthwise convolution do.
  if (form.isDepthwise)
    return g.reshape(toBlocks(g, g.reshape(w, [1, outputs, ...kernel])), [form.outputs, 1, ...kernel])
  const { inputs, readsPlain } = form
  const whole = g.pad(w, [0, 0, 0, 0, form.outputs - outputs, inputs - each, 0, 0])
  const moved = readsPlain
    ? g.transpose(g.reshape(whole, [-1, block, each, ...kernel]), [0, 2, 3, 4, 1])
    : g.transpose(g.reshape(whole, [-1, block, inputs / block, block, ...kernel]), [0, 2, 4, 5, 3, 1])
  return g.reshape(moved, [form.outputs, inputs, ...kernel])
}

/** The size of a block, if a convolution of each form gives what it gives plainly. */
async function probe(): Promise<number> {
  const [one] = await results(
    graphOf([node('ReorderInput', ['x'], ['y0'], {}, { domain: DOMAIN })], { x: [1, ALIGNED, 1, 1] }),
  )
  const block = one.dims[1]
  if (block < ALIGNED) return 1
  const [many, few] = [2 * block, block / 2]
  const shapes = {
    x: [2, many, 5, 4],
    w0: [many, many, 3, 3],
    w1: [many, 1, 3, 3],
    w2: [many, few, 2, 2],
    z: [2, few, 5, 4],
  }
  const pads = [1, 1, 1, 1]
  const plain = graphOf(
    [
      node('Conv', ['x', 'w0'], ['y0'], { pads }),
      node('Conv', ['x', 'w1'], ['y1'], { pads, group: many, strides: [2, 2] }),
      node('Conv', ['z', 'w2'], ['y2'], { pads, dilations: [2, 1] }),
    ],
    shapes,
  )
  const blocked = laidOut(plain, await shapesOf(plain), block)
  const [expected, given] = [await results(plain), await results(blocked)]
  const agree = expected.every(({ data }, i) => {
    const [a, b] = [data as Float32Array, given[i].data as Float32Array]
    return a.every((v, k) => Math.abs(v - b[k]) <= 1e-4 * many)
  })
  return agree ? block : 1
}

function graphOf(nodes: readonly Node[], inputs: Readonly<Record<string, readonly number[]>>): Graph {
  return new Graph({
    name: 'blocks',
    nodes,
    initializers: new Map(),
    inputs: Object.entries(inputs).map(([name, dims]) => ({ name, dtype: 'float32', dims })),
    outputs: nodes.map((n) => ({ name: n.outputs[0], dtype: 'float32', dims: null })),
    values: new Map(),
    opsets: new Map([
      ['', TRAINING_OPSET],
      [DOMAIN, 1],
    ]),
    metadata: new Map(),
  })
}

/** The outputs for inputs that are fixed and unlike each other. */
async function results(graph: Graph): Promise<readonly Tensor[]> {
  const session = await openSession(graph)
  const feeds = graph.inputs.map(({ name, dims }): [string, Tensor] => {
    const shape = (dims ?? []) as number[]
    const waves = Float32Array.from({ length: elementCount(shape) }, (_, i) =>
      Math.sin(i * i + name.length + shape.length),
    )
    return [name, floats(shape, waves)]
  })
  try {
    const found = await run(session, Object.fromEntries(feeds))
    return graph.outputs.map(({ name }) => found[name])
  } finally {
    await session.release()
  }
}
