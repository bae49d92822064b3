import { floats, Graph, type Node, node, type Tensor } from '@espalier/server/compiler/graph/index.js'

/** An inverted residual block (Howard et al. 2019, "Searching for MobileNetV3", figure 4). */
interface Block {
  readonly expanded: number
  readonly out: number
  readonly stride: 1 | 2
  readonly activation: 'Relu' | 'HardSwish'
  readonly squeeze: boolean
}

/** Narrow while maps are large, wide at 4×4: about a million parameters, 4.7 million multiply–accumulates. */
const blocks: readonly Block[] = [
  { expanded: 16, out: 24, stride: 2, activation: 'Relu', squeeze: true },
  { expanded: 72, out: 24, stride: 1, activation: 'Relu', squeeze: false },
  { expanded: 96, out: 48, stride: 2, activation: 'HardSwish', squeeze: true },
  { expanded: 192, out: 48, stride: 1, activation: 'HardSwish', squeeze: true },
  { expanded: 320, out: 96, stride: 1, activation: 'HardSwish', squeeze: true },
  { expanded: 512, out: 96, stride: 1, activation: 'HardSwish', squeeze: true },
]
const STEM = 16
const LAST = 512
const HEAD = 1024

/**
 * A small MobileNetV3 for digits, with random weights: images [batch, 1, 28, 28] → logits [batch, 10].
 * @param random uniform numbers in [0, 1)
 */
export function digitsNetwork(random: () => number): Graph {
  const b = new Layers(random)
  let x = b.convolution('stem', 'image', { from: 1, to: STEM, kernel: 3, stride: 2, activation: 'HardSwish' })
  let channels = STEM
  for (const [i, block] of blocks.entries()) {
    x = b.block(`block${i + 1}`, x, channels, block)
    channels = block.out
  }
  x = b.convolution('last', x, { from: channels, to: LAST, kernel: 1, activation: 'HardSwish' })
  x = b.add('Flatten', [b.add('GlobalAveragePool', [x], 'pool')], 'flat')
  x = b.add('HardSwish', [b.dense('head', x, LAST, HEAD)], 'head.act')
  b.dense('classifier', x, HEAD, 10, 'logits')
  return new Graph({
    name: 'digits',
    nodes: b.nodes,
    initializers: b.weights,
    inputs: [{ name: 'image', dtype: 'float32', dims: ['batch', 1, 28, 28] }],
    outputs: [{ name: 'logits', dtype: 'float32', dims: ['batch', 10] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
}

interface ConvolutionLayer {
  readonly from: number
  readonly to: number
  readonly kernel: number
  readonly stride?: number
  readonly depthwise?: boolean
  readonly activation?: 'Relu' | 'HardSwish'
}

class Layers {
  readonly nodes: Node[] = []
  readonly weights = new Map<string, Tensor>()

  constructor(readonly random: () => number) {}

  add(
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: Parameters<typeof node>[3] = {},
  ): string {
    this.nodes.push(node(op, inputs, [output], attributes))
    return output
  }

  /** Normal numbers of variance 2 / fan (He et al. 2015). */
  weight(name: string, dims: readonly number[], fan: number): string {
    const values = new Float32Array(dims.reduce((n, d) => n * d, 1))
    const deviation = Math.sqrt(2 / fan)
    for (let i = 0; i < values.length; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - this.random()))
      values[i] = deviation * radius * Math.cos(2 * Math.PI * this.random())
    }
    this.weights.set(name, floats(dims, values))
    return name
  }

  filled(name: string, count: number, value: number): string {
    this.weights.set(name, floats([count], new Float32Array(count).fill(value)))
    return name
  }

  /** Convolution, normalisation and, if named, an activation. */
  convolution(name: string, x: string, layer: ConvolutionLayer): string {
    const { from, to, kernel, stride = 1, depthwise = false, activation } = layer
    const inputs = depthwise ? 1 : from
    const weight = this.weight(`${name}.weight`, [to, inputs, kernel, kernel], inputs * kernel * kernel)
    const pad = (kernel - 1) / 2
    let y = this.add('Conv', [x, weight], `${name}.conv`, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      group: depthwise ? from : 1,
    })
    const statistics = [
      this.filled(`${name}.scale`, to, 1),
      this.filled(`${name}.bias`, to, 0),
      this.filled(`${name}.mean`, to, 0),
      this.filled(`${name}.variance`, to, 1),
    ]
    y = this.add('BatchNormalization', [y, ...statistics], `${name}.norm`)
    return activation ? this.add(activation, [y], `${name}.act`) : y
  }

  dense(name: string, x: string, from: number, to: number, output = `${name}.dense`): string {
    const weight = this.weight(`${name}.weight`, [to, from], from)
    return this.add('Gemm', [x, weight, this.filled(`${name}.bias`, to, 0)], output, { transB: 1 })
  }

  /** Squeeze-and-excite (Hu et al. 2018) as MobileNetV3 has it: a quarter of the channels, hard sigmoid. */
  squeezeAndExcite(name: string, x: string, channels: number): string {
    const inner = Math.max(8, Math.round(channels / 32) * 8)
    const pointwise = (part: string, input: string, from: number, to: number) =>
      this.add(
        'Conv',
        [
          input,
          this.weight(`${name}.${part}.weight`, [to, from, 1, 1], from),
          this.filled(`${name}.${part}.bias`, to, 0),
        ],
        `${name}.${part}`,
        { kernel_shape: [1, 1] },
      )
    const squeezed = this.add('GlobalAveragePool', [x], `${name}.pool`)
    const reduced = this.add('Relu', [pointwise('reduce', squeezed, channels, inner)], `${name}.act`)
    const gate = this.add('HardSigmoid', [pointwise('expand', reduced, inner, channels)], `${name}.gate`, {
      alpha: 1 / 6,
    })
    return this.add('Mul', [x, gate], `${name}.scaled`)
  }

  block(
    name: string,
    x: string,
    from: number,
    { expanded, out, stride, activation, squeeze }: Block,
  ): string {
    let y = x
    if (expanded !== from)
      y = this.convolution(`${name}.expand`, y, { from, to: expanded, kernel: 1, activation })
    const depthwise = { from: expanded, to: expanded, kernel: 3, stride, depthwise: true, activation }
    y = this.convolution(`${name}.depthwise`, y, depthwise)
    if (squeeze) y = this.squeezeAndExcite(`${name}.squeeze`, y, expanded)
    y = this.convolution(`${name}.project`, y, { from: expanded, to: out, kernel: 1 })
    return stride === 1 && from === out ? this.add('Add', [x, y], `${name}.sum`) : y
  }
}
