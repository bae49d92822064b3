import { intsAttribute, type Node, stridesOf, stringAttribute } from '../graph/index.js'
import type { Mixer } from './mixer.js'

/** Finds a mixer's inputs and outputs in values of one run. Positions are counted over everything but channels. */
export interface Reader {
  readonly positions: number
  /** Writes what `block` reads at a position, `inputs × taps` numbers, channel by channel; zeros where it pads. */
  inputs(values: Float32Array, position: number, block: number, target: Float64Array, at: number): void
  /** Where an output channel lies at a position. */
  output(position: number, channel: number): number
}

/** Shapes of a mixer's input and output in a run. */
export interface Dims {
  readonly input: readonly number[]
  readonly output: readonly number[]
}

export function readerOf(mixer: Mixer, dims: Dims): Reader {
  return mixer.channels === 'last' ? lastAxis(mixer, dims) : windows(mixer, dims)
}

/** Whether some of a convolution's windows reach beyond its input, where they read zeros. */
export function padsZeros({ node: n, kernel }: Mixer, dims: Dims): boolean {
  const starts = startsOf(n, kernel, dims)
  return kernel.some((k, d) => {
    const { stride, dilation } = stepsOf(n, d)
    const end = (dims.output[d + 2] - 1) * stride + (k - 1) * dilation - starts[d]
    return starts[d] > 0 || end >= dims.input[d + 2]
  })
}

function lastAxis({ inputs, outputs }: Mixer, { output }: Dims): Reader {
  return {
    positions: output.slice(0, -1).reduce((n, d) => n * d, 1),
    inputs(values, position, _, target, at) {
      const from = position * inputs
      for (let i = 0; i < inputs; i++) target[at + i] = values[from + i]
    },
    output: (position, channel) => position * outputs + channel,
  }
}

function windows(mixer: Mixer, dims: Dims): Reader {
  const { node: n, inputs, taps, kernel } = mixer
  const [batch, channels, ...space] = dims.input
  const [, outputs, ...out] = dims.output
  const steps = kernel.map((_, d) => stepsOf(n, d))
  const starts = startsOf(n, kernel, dims)
  const area = space.reduce((a, d) => a * d, 1)
  const outArea = out.reduce((a, d) => a * d, 1)
  const window = kernel.length > 0 ? kernel : space.map(() => 1)
  const [inSteps, outSteps, tapSteps] = [space, out, window].map(stridesOf)
  const places = new Int32Array(taps)
  /** Where each tap reads within a channel, or −1. */
  const look = (position: number) => {
    for (let t = 0; t < taps; t++) {
      let place = 0
      for (let d = 0; d < space.length && place >= 0; d++) {
        const { stride, dilation } = steps[d] ?? { stride: 1, dilation: 1 }
        const o = Math.floor(position / outSteps[d]) % out[d]
        const k = Math.floor(t / tapSteps[d]) % window[d]
        const i = o * stride + k * dilation - (starts[d] ?? 0)
        place = i < 0 || i >= space[d] ? -1 : place + i * inSteps[d]
      }
      places[t] = place
    }
  }
  let looked = -1
  return {
    positions: batch * outArea,
    inputs(values, position, block, target, at) {
      if (looked !== position) look(position % outArea)
      looked = position
      const first = (Math.floor(position / outArea) * channels + block * inputs) * area
      for (let c = 0; c < inputs; c++)
        for (let t = 0; t < taps; t++)
          target[at + c * taps + t] = places[t] < 0 ? 0 : values[first + c * area + places[t]]
    },
    output: (position, channel) =>
      (Math.floor(position / outArea) * outputs + channel) * outArea + (position % outArea),
  }
}

/** How far before its input a window starts, by dimension. */
function startsOf(n: Node, kernel: readonly number[], { input, output }: Dims): number[] {
  const auto = stringAttribute(n, 'auto_pad', 'NOTSET')
  const given = intsAttribute(n, 'pads')
  return kernel.map((k, d) => {
    if (auto === 'VALID') return 0
    if (auto === 'NOTSET') return given?.[d] ?? 0
    const { stride, dilation } = stepsOf(n, d)
    const total = Math.max(0, (output[d + 2] - 1) * stride + (k - 1) * dilation + 1 - input[d + 2])
    return auto === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2)
  })
}

const stepsOf = (n: Node, d: number) => ({
  stride: intsAttribute(n, 'strides')?.[d] ?? 1,
  dilation: intsAttribute(n, 'dilations')?.[d] ?? 1,
})
