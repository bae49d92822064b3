import { multiHead } from './attention.js'
import { type Architecture, dense, gelu, layerNorm, sizeOf } from './layers.js'
import { Net } from './net.js'

interface Plan {
  readonly vocabulary: number
  readonly width: number
  readonly heads: number
  readonly hidden: number
  readonly layers: number
  readonly positions: number
  readonly labels: number
}

/**
 * Devlin et al. 2019, as Hugging Face's BertForSequenceClassification exports: three embeddings summed, an additive
 * mask made from the attention mask, normalisation after each residual sum.
 */
export function bert(name: string, p: Plan) {
  const n = new Net(name)
  const ids = n.input('input_ids', ['n', 'length'], 'int64')
  const attention = n.input('attention_mask', ['n', 'length'], 'int64')
  const types = n.input('token_type_ids', ['n', 'length'], 'int64')
  const embed = (rows: number, at: string) => n.op('Gather', [n.weight([rows, p.width]), at], { axis: 0 })
  const counted = n.constant('positions', {
    dtype: 'int64',
    dims: [1, p.positions],
    data: BigInt64Array.from({ length: p.positions }, (_, i) => BigInt(i)),
  })
  const here = n.op('Slice', [counted, n.ints([0]), sizeOf(n, ids, 1), n.ints([1]), n.ints([1])])
  const summed = n.op('Add', [
    n.op('Add', [embed(p.vocabulary, ids), embed(2, types)]),
    embed(p.positions, here),
  ])
  const wide = n.op('Unsqueeze', [n.op('Unsqueeze', [attention, n.ints([1])]), n.ints([2])])
  const open = n.op('Cast', [wide], { to: 1 })
  const mask = n.op('Mul', [n.op('Sub', [n.scalar(1), open]), n.scalar(-10000)])
  let x = layerNorm(n, summed, p.width)
  for (let i = 0; i < p.layers; i++) {
    const seen = multiHead(n, x, { ...p, head: p.width / p.heads, mask })
    x = layerNorm(n, n.op('Add', [seen, x]), p.width)
    const inner = gelu(n, dense(n, x, p.width, p.hidden))
    x = layerNorm(n, n.op('Add', [dense(n, inner, p.hidden, p.width), x]), p.width)
  }
  const first = n.op('Gather', [x, n.int(0)], { axis: 1 })
  const pooled = n.op('Tanh', [n.dense(first, p.width, p.width)])
  return n.build(n.dense(pooled, p.width, p.labels))
}

/** A small encoder as onnxruntime's optimiser leaves it: one attention, and sum, bias and normalisation in one. */
function fusedBert() {
  const n = new Net('BERT fused', 13)
  const [width, heads, hidden] = [40, 4, 160]
  const product = (x: string, from: number, to: number) => n.op('MatMul', [x, n.weight([from, to])])
  const own = (op: string, inputs: readonly string[], attributes = {}) =>
    n.op(op, inputs, attributes, 'com.microsoft')
  const added = (branch: string, x: string) => {
    const [scale, shift, bias] = [n.weight([width], { around: 1 }), n.weight([width]), n.weight([width])]
    return own('SkipLayerNormalization', [branch, x, scale, shift, bias], { epsilon: 1e-12 })
  }
  let x = dense(n, n.input('x', ['n', 'length', 12]), 12, width)
  for (let i = 0; i < 2; i++) {
    const [q, k, v] = [0, 1, 2].map(() => product(x, width, width))
    const seen = own('MultiHeadAttention', [q, k, v, n.weight([3 * width])], { num_heads: heads })
    x = added(product(seen, width, width), x)
    const inner = own('BiasGelu', [product(x, width, hidden), n.weight([hidden])])
    x = added(product(inner, hidden, width), x)
  }
  const first = n.op('Gather', [x, n.int(0)], { axis: 1 })
  return n.build(n.dense(first, width, 3))
}

export const berts: readonly Architecture[] = [
  {
    name: 'BERT fused',
    peculiarity: "onnxruntime's fusions: attention in one operator, sum, bias and normalisation in another",
    make: fusedBert,
  },
  {
    name: 'BERT',
    peculiarity:
      'embeddings by token, position and segment; a stream held whole by LayerNorm; a mask from an input',
    make: () =>
      bert('BERT', {
        vocabulary: 40,
        width: 40,
        heads: 4,
        hidden: 160,
        layers: 2,
        positions: 96,
        labels: 3,
      }),
  },
]

/** A transformer encoder of about 25 million parameters: 12 layers of width 384, a vocabulary of 8,192. */
export const transformer25M = () =>
  bert('transformer of 25 million parameters', {
    vocabulary: 8192,
    width: 384,
    heads: 12,
    hidden: 1536,
    layers: 12,
    positions: 512,
    labels: 2,
  })
