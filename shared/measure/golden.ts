import type { InferenceSession, Tensor } from 'onnxruntime-common'
import { EspalierError } from '../errors.js'
import type { Golden } from '../messages/catalogue.js'

/** Values that are kept of one output, and outputs that are looked at. */
export const MOST_VALUES = 64
export const MOST_OUTPUTS = 16
/**
 * How far a value may lie from its golden one, of the output's largest magnitude. It tells a network that answers from one
 * that does not: rounding differs from machine to machine by a thousandth of that, int8 arithmetic by up to a hundredth.
 */
const TOLERANCE = 0.05

/** Evenly spaced values of each output of real numbers; an output with values that are none is left out. */
export function goldenOf(outputs: InferenceSession.OnnxValueMapType): Golden {
  return Object.entries(outputs)
    .filter(([, output]) => output.type === 'float32' || output.type === 'float64')
    .slice(0, MOST_OUTPUTS)
    .map(([name, output]) => sampled(name, output as Tensor))
    .filter(({ values, scale }) => values.length > 0 && Number.isFinite(scale))
}

function sampled(name: string, { dims, data }: Tensor): Golden[number] {
  const all = data as Float32Array
  const count = Math.min(MOST_VALUES, all.length)
  const values = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)])
  let scale = 0
  for (const value of all) scale = Number.isNaN(value) ? Number.NaN : Math.max(scale, Math.abs(value))
  return { name, dims: [...dims], values, scale }
}

/** @throws OUTPUT_WRONG, saying which output differs and by how much, where `found` is not what `golden` says */
export function requireGolden(golden: Golden, found: Golden): void {
  for (const { name, dims, values, scale } of golden) {
    const wrong = (why: string) =>
      new EspalierError(
        'OUTPUT_WRONG',
        `output '${name}' ${why}; the network does not compute here what it did where it was made`,
      )
    const output = found.find((o) => o.name === name)
    if (!output) throw wrong('is missing, or holds values that are no numbers')
    if (output.dims.join() !== dims.join()) throw wrong(`has the shape [${output.dims}] and not [${dims}]`)
    const gap = Math.max(...values.map((value, i) => Math.abs(value - output.values[i])))
    if (!(gap <= TOLERANCE * scale))
      throw wrong(`is off by ${gap.toPrecision(3)}, where it reaches ${scale.toPrecision(3)}`)
  }
}
