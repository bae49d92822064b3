import { fill } from './inputs.js'

/** One operator: what it reads is the output of the one before, then constants of these sizes. */
export interface Layer {
  readonly op: string
  readonly ints?: Readonly<Record<string, number | readonly number[]>>
  readonly constants?: readonly (readonly number[])[]
  /** Reads the same value once more, as both operands of a sum. */
  readonly twice?: boolean
}

/**
 * The ONNX file of a few operators in a row, from an input `x` of these sizes to an output `y`, all float32: enough of
 * the format (onnx.proto, IR version 8, opset 17) for a device that has no more than a runtime.
 */
export function smallModel(inputDims: readonly number[], layers: readonly Layer[]): Uint8Array {
  const value = (i: number) => (i < 0 ? 'x' : i === layers.length - 1 ? 'y' : `v${i}`)
  const nodes = layers.map(({ op, ints = {}, constants = [], twice }, i) =>
    message(
      ...[value(i - 1), ...(twice ? [value(i - 1)] : []), ...constants.map((_, k) => `w${i}_${k}`)].map((n) =>
        text(1, n),
      ),
      text(2, value(i)),
      text(4, op),
      ...Object.entries(ints).map(([name, v]) => bytes(5, attribute(name, v))),
    ),
  )
  const constants = layers.flatMap((layer, i) =>
    (layer.constants ?? []).map((dims, k) => tensor(`w${i}_${k}`, dims)),
  )
  const graph = message(
    ...nodes.map((n) => bytes(1, n)),
    text(2, 'small'),
    ...constants.map((c) => bytes(5, c)),
    bytes(11, port('x', inputDims)),
    bytes(12, port('y')),
  )
  return message(number(1, 8), bytes(7, graph), bytes(8, message(number(2, 17))))
}

const FLOAT = 1

const attribute = (name: string, value: number | readonly number[]) =>
  typeof value === 'number'
    ? message(text(1, name), number(3, value), number(20, 2))
    : message(text(1, name), ...value.map((v) => number(8, v)), number(20, 7))

function tensor(name: string, dims: readonly number[]): Uint8Array {
  const data = new Float32Array(dims.reduce((n, d) => n * d, 1))
  fill(data)
  return message(
    ...dims.map((d) => number(1, d)),
    number(2, FLOAT),
    text(8, name),
    bytes(9, new Uint8Array(data.buffer)),
  )
}

function port(name: string, dims?: readonly number[]): Uint8Array {
  const shape = dims ? [bytes(2, message(...dims.map((d) => bytes(1, message(number(1, d))))))] : []
  return message(text(1, name), bytes(2, message(bytes(1, message(number(1, FLOAT), ...shape)))))
}

/** Protocol buffers: a field is its number with the wire type, then a varint, or a length and so many bytes. */
const message = (...fields: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(fields))
const number = (field: number, value: number) => Buffer.from([...varint(field << 3), ...varint(value)])
const bytes = (field: number, content: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(content.length)]), content])
const text = (field: number, content: string) => bytes(field, Buffer.from(content))

/** Of a whole number that is not negative. */
function varint(value: number): number[] {
  const out: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest]
    out.push((rest % 128) | 128)
  }
}
