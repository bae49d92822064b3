import { float, floatAttribute, type Node, stringAttribute } from '../../graph/index.js'
import type { Builder } from '../gradients/index.js'
import type { Lowerings } from './rule.js'

const MICROSOFT = 'com.microsoft'

/** Writes one activation with the parameters that it may be given. */
type Activation = (g: Builder, x: string, alpha?: number, beta?: number) => string

const plain =
  (op: string): Activation =>
  (g, x) =>
    g.op(op, [x])
const withAlpha =
  (op: string): Activation =>
  (g, x, alpha) =>
    g.op(op, [x], { alpha: given(alpha) })
const given = (value?: number) => (value === undefined ? undefined : float(value))

/** What LSTM, FusedConv and others name as their activations. */
const kinds: Readonly<Record<string, Activation>> = {
  relu: plain('Relu'),
  tanh: plain('Tanh'),
  sigmoid: plain('Sigmoid'),
  softsign: plain('Softsign'),
  softplus: plain('Softplus'),
  hardswish: plain('HardSwish'),
  leakyrelu: withAlpha('LeakyRelu'),
  thresholdedrelu: withAlpha('ThresholdedRelu'),
  elu: withAlpha('Elu'),
  hardsigmoid: (g, x, alpha, beta) => g.op('HardSigmoid', [x], { alpha: given(alpha), beta: given(beta) }),
  affine: (g, x, alpha = 1, beta = 0) => g.add(g.scale(x, alpha), g.scalar(beta)),
  scaledtanh: (g, x, alpha = 1, beta = 1) => g.scale(g.op('Tanh', [g.scale(x, beta)]), alpha),
  clip: (g, x, least = -3.4e38, most = 3.4e38) => g.op('Clip', [x, g.scalar(least), g.scalar(most)]),
}

/** The activation that another operator names, in whatever case; undefined for one that nobody knows. */
export const activationNamed = (name: string): Activation | undefined => kinds[name.toLowerCase()]

export const activations: Lowerings = {
  'com.microsoft.BiasGelu': ({ g, node }) => [g.op('Gelu', [g.op('Add', node.inputs)], {}, MICROSOFT)],
  'com.microsoft.FastGelu': ({ g, node }) =>
    node.inputs[1] ? [g.op('FastGelu', [g.op('Add', node.inputs)], {}, MICROSOFT)] : undefined,
  'com.microsoft.FusedGemm': ({ g, node }) => {
    const activation = activationNamed(stringAttribute(node, 'activation', ''))
    const [alpha, beta] = ['activation_alpha', 'activation_beta'].map((name) =>
      node.attributes.has(name) ? floatAttribute(node, name, 0) : undefined,
    )
    return activation && [activation(g, g.op('Gemm', node.inputs, unfused(node)), alpha, beta)]
  },
  'com.microsoft.FusedConv': ({ g, node }) => {
    const [x, w, bias, added] = node.inputs
    const name = stringAttribute(node, 'activation', '')
    const activation = name ? activationNamed(name) : plain('Identity')
    const list = node.attributes.get('activation_params')
    const [alpha, beta] = list?.type === 'floats' || list?.type === 'ints' ? list.value : []
    const convolved = g.op('Conv', bias ? [x, w, bias] : [x, w], unfused(node))
    return activation && [activation(g, added ? g.add(convolved, added) : convolved, alpha, beta)]
  },
}

/** The attributes without what was fused into the operator. */
const unfused = (n: Node) =>
  Object.fromEntries([...n.attributes].filter(([name]) => !name.startsWith('activation')))
