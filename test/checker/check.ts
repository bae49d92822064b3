import { readFileSync } from 'node:fs'
import { TensorProto_DataType as T } from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import { type Constant, Model, split } from './model.js'

/** Kept indices by constant, then by dimension, in the original file's names; none where a constant is gone. */
export type Plan = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>

export interface Verdict {
  /** What is wrong; empty if the pruned file is what the plan says. */
  readonly faults: readonly string[]
  /** Largest difference over what is allowed: 1e-4 of the outputs' scale + 1e-6. */
  readonly gap: number
  readonly shapes: readonly (readonly number[])[]
}

export interface CheckOptions {
  /** Inputs per shape. */
  readonly inputs?: number
  /** Sizes of dynamic axes, the first axis first, one list a shape. */
  readonly dynamic?: readonly (readonly number[])[]
  /** Exchanges two slices of one pruned constant beforehand: the check must then fail. */
  readonly swap?: boolean
}

const saturating = new Set(['Sigmoid', 'Softmax', 'HardSigmoid', 'Tanh'])
const isFloat = (c: Constant | undefined) => c?.type === T.FLOAT || c?.type === T.DOUBLE

/**
 * Judges a pruned file by the two files and the plan alone. Nothing of the compiler is used: the planned slices are
 * zeroed in the original, and the outputs compared, before their sigmoid or softmax if they end in one. What is missing
 * without a plan (the rest of a branch whose end was planned away) is made three times as large, so that it must not matter.
 */
export async function check(
  originalFile: string,
  prunedFile: string,
  plan: Plan,
  {
    inputs = 10,
    dynamic = [
      [1, 64, 64],
      [2, 96, 64],
      [3, 32, 128],
    ],
    swap = false,
  }: CheckOptions = {},
): Promise<Verdict> {
  const original = new Model(readFileSync(originalFile))
  const pruned = new Model(readFileSync(prunedFile))
  const faults = swap ? [] : constantFaults(original, pruned, plan)
  const expected = new Map([...unplanned(original, pruned, plan), ...zeroed(original, plan)])
  const a = judged(new Model(original.replaced(expected)))
  const b = judged(new Model(pruned.replaced(swap ? swapped(pruned, plan) : new Map())))
  const compared = await compare(a, b, inputs, dynamic)
  return { ...compared, faults: [...faults, ...compared.faults] }
}

/** Pruned constants must be exact slices, all others untouched. */
function constantFaults(original: Model, pruned: Model, plan: Plan): string[] {
  const before = original.constants()
  const after = pruned.constants()
  const faults: string[] = []
  const planned = new Set<string>()
  for (const [name, kept] of Object.entries(plan)) {
    const was = before.get(name) ?? before.get(split(name).constant)
    if (was && isGone(kept)) {
      if (after.has(name)) faults.push(`'${name}' is there, though the plan keeps nothing of it`)
      continue
    }
    const actual = after.has(name) ? name : split(name).constant
    const is = after.get(actual)
    planned.add(actual)
    if (!was || !is) {
      faults.push(`'${name}' is in the plan but not in ${was ? 'the pruned file' : 'the original'}`)
      continue
    }
    const expected = sliced(was, kept)
    const same =
      `${expected.dims}` === `${is.dims}` && expected.values.every((v, i) => Object.is(v, is.values[i]))
    if (!same)
      faults.push(`'${name}' [${is.dims}] is not the planned slice [${expected.dims}] of [${was.dims}]`)
  }
  for (const [name, is] of after) {
    if (planned.has(name) || !isFloat(is)) continue
    const was = before.get(name) ?? before.get(split(name).constant)
    const same =
      was && `${was.dims}` === `${is.dims}` && was.values.every((v, i) => Object.is(v, is.values[i]))
    if (!same) faults.push(`'${name}' changed without a plan`)
  }
  return faults
}

/** Operators whose float inputs say how large the output is. */
const sizing = new Set(['Resize', 'Upsample', 'Range'])

const isGone = (kept: Plan[string]) => Object.values(kept).some((list) => list.length === 0)

/** Float constants of the original that are not in the pruned file though no plan takes them, three times as large. */
function unplanned(original: Model, pruned: Model, plan: Plan): Map<string, Constant> {
  const there = new Set([...pruned.constants().keys()].flatMap((name) => [name, split(name).constant]))
  const planned = new Set(Object.keys(plan).flatMap((name) => [name, split(name).constant]))
  const sizes = new Set(original.graph.node.filter((n) => sizing.has(n.opType)).flatMap((n) => n.input))
  const missing = [...original.constants()].filter(
    ([name, c]) => isFloat(c) && !there.has(name) && !planned.has(name) && !sizes.has(name),
  )
  return new Map(missing.map(([name, c]) => [name, { ...c, values: c.values.map((v) => 3 * v) }]))
}

/** Whether the element at a row-major position is in what is kept. */
function keeps(c: Constant, kept: Plan[string]): (i: number) => boolean {
  const along = Object.entries(kept).map(([d, list]) => ({
    size: c.dims[Number(d)],
    inner: c.dims.slice(Number(d) + 1).reduce((p, s) => p * s, 1),
    set: new Set(list),
  }))
  return (i) => along.every(({ size, inner, set }) => set.has(Math.floor(i / inner) % size))
}

function sliced(c: Constant, kept: Plan[string]): Constant {
  const stays = keeps(c, kept)
  return {
    type: c.type,
    dims: c.dims.map((size, d) => kept[d]?.length ?? size),
    values: c.values.filter((_, i) => stays(i)),
  }
}

/** Inputs that are sliced and never zeroed: divisors and exponents, scales and zero points. */
const kept = new Map([
  ['Div', [1]],
  ['Pow', [1]],
  ['QuantizeLinear', [1, 2]],
  ['DequantizeLinear', [1, 2]],
])

/** Every planned constant with zeros where nothing is kept; what is dequantised, with its zero point. */
function zeroed(model: Model, plan: Plan): Map<string, Constant> {
  const constants = model.constants()
  const result = new Map<string, Constant>()
  for (const [name, indices] of Object.entries(plan)) {
    const own = constants.get(name)
    const { constant, output } = split(name)
    const source = own ? name : constant
    const c = constants.get(source)
    const readers = model.graph.node.filter(
      (n) => n.input.includes(source) && (own || n.output.includes(output)),
    )
    if (!c || readers.some((n) => kept.get(n.opType)?.some((i) => n.input[i] === source))) continue
    const stays = keeps(c, indices)
    const zero = zeroPoint(model, c, readers[0], source)
    result.set(name, { ...c, values: c.values.map((v, i) => (stays(i) ? v : zero(i))) })
  }
  return result
}

/** What stands for zero in a constant: of one that DequantizeLinear reads its zero point, one or one an index of its axis. */
function zeroPoint(
  model: Model,
  c: Constant,
  reader: Model['graph']['node'][number] | undefined,
  name: string,
): (i: number) => number {
  if (reader?.opType !== 'DequantizeLinear' || reader.input[0] !== name) return () => 0
  const points = model.constants().get(reader.input[2])?.values ?? [0]
  const axis = Number(reader.attribute.find((a) => a.name === 'axis')?.i ?? 1)
  const inner = c.dims.slice(axis < 0 ? axis + c.dims.length + 1 : axis + 1).reduce((p, s) => p * s, 1)
  return (i) => points[Math.floor(i / inner) % points.length]
}

/** The largest planned constant with the two heaviest slices of one dimension exchanged. */
function swapped(pruned: Model, plan: Plan): Map<string, Constant> {
  const constants = pruned.constants()
  const candidates = Object.entries(plan).flatMap(([name, kept]) => {
    const actual = constants.has(name) ? name : split(name).constant
    const c = constants.get(actual)
    const d = Object.keys(kept)
      .map(Number)
      .find((k) => kept[k].length > 1)
    return c && d !== undefined && c.dims.length > 1 ? [{ actual, c, d }] : []
  })
  const largest = candidates.sort((x, y) => y.c.values.length - x.c.values.length)[0]
  if (!largest) throw new Error('no planned constant has two slices to exchange')
  const { actual, c, d } = largest
  const inner = c.dims.slice(d + 1).reduce((p, s) => p * s, 1)
  const slice = (i: number) => Math.floor(i / inner) % c.dims[d]
  const weights = new Float64Array(c.dims[d])
  c.values.forEach((v, i) => {
    weights[slice(i)] += Math.abs(v)
  })
  const [one, two] = [...weights.keys()].sort((x, y) => weights[y] - weights[x])
  const values = c.values.map((v, i) => {
    if (slice(i) === one) return c.values[i + (two - one) * inner]
    return slice(i) === two ? c.values[i + (one - two) * inner] : v
  })
  return new Map([[actual, { ...c, values }]])
}

/** The model with outputs that saturate replaced by what goes into their last operator. */
function judged(model: Model): Uint8Array {
  for (const o of model.graph.output) {
    const last = model.graph.node.find((n) => n.output[0] === o.name)
    if (!last || !saturating.has(last.opType)) continue
    const name = last.input[0]
    if (model.graph.output.some((other) => other.name === name)) continue
    model.graph.valueInfo = model.graph.valueInfo.filter((v) => v.name !== name)
    o.name = name
    if (o.type?.value.case === 'tensorType') o.type.value.value.shape = undefined
  }
  return model.bytes()
}

async function compare(
  a: Uint8Array,
  b: Uint8Array,
  inputs: number,
  dynamic: readonly (readonly number[])[],
): Promise<Verdict> {
  const [one, two] = [await session(a), await session(b)]
  const faults: string[] = []
  const shapes: number[][] = []
  let gap = 0
  let next = 12345
  const random = () => {
    next = (Math.imul(next, 1103515245) + 12345) >>> 0
    return next / 2 ** 32
  }
  const isDynamic = one.inputMetadata.some((m) => m.isTensor && m.shape.some((d) => typeof d === 'string'))
  for (const sizes of isDynamic ? dynamic : [[]]) {
    const earlier = new Map<string, number[]>()
    let varies = false
    for (let k = 0; k < inputs; k++) {
      const feeds: Record<string, ort.Tensor> = {}
      for (const m of one.inputMetadata) {
        if (!m.isTensor) throw new Error(`input '${m.name}' is no tensor`)
        let open = 0
        const dims = m.shape.map((d, i) =>
          typeof d === 'number'
            ? d
            : i === 0
              ? sizes[0]
              : sizes[1 + (open++ % Math.max(1, sizes.length - 1))],
        )
        if (k === 0) shapes.push(dims)
        const length = dims.reduce((p, d) => p * d, 1)
        feeds[m.name] =
          m.type === 'int64' // token numbers and masks: nought or one is in every vocabulary
            ? new ort.Tensor(
                'int64',
                BigInt64Array.from({ length }, () => (random() < 0.5 ? 0n : 1n)),
                dims,
              )
            : new ort.Tensor(
                'float32',
                Float32Array.from({ length }, () => random() * 2 - 1),
                dims,
              )
      }
      const [x, y] = [await one.run(feeds), await two.run(feeds)]
      for (const name of one.outputNames) {
        const [p, q] = [Array.from(x[name].data as Float32Array), Array.from(y[name].data as Float32Array)]
        const scale = p.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
        if (p.length !== q.length) faults.push(`output '${name}' has ${q.length} elements, not ${p.length}`)
        const worst = largest(p, q) / (1e-4 * scale + 1e-6)
        if (!(worst <= gap)) gap = worst
        const before = earlier.get(name)
        if (!before) earlier.set(name, p)
        else if (largest(before, p) > 1e-6 * scale) varies = true
      }
    }
    if (!varies && inputs > 1)
      faults.push(`weak: at shape [${shapes.at(-1)}] the outputs do not vary with the input`)
  }
  await one.release()
  await two.release()
  if (!(gap <= 1)) faults.push(`outputs differ by ${gap} times what is allowed`)
  return { faults, gap, shapes }
}

const largest = (p: readonly number[], q: readonly number[]): number =>
  p.reduce((m, v, i) => {
    const d = Math.abs(v - q[i])
    return d <= m ? m : d
  }, 0)

const session = (bytes: Uint8Array) =>
  ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
