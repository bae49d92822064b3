import { int64s, intAttribute, intsAttribute, tensor } from '../graph/index.js'
import {
  type Axis,
  defineOp,
  type FlowContext,
  type Flowing,
  keepSizes,
  noMacs,
  positive,
  withZero,
} from './define.js'

/** Ranges along some axes. Where an axis is pruned, its constant bounds follow; a stride there leaves it whole. */
export const slice = defineOp({
  op: 'Slice',
  sizes: [0, 1, 2],
  flow(f) {
    const before = f.axes(0)
    const { starts, ends, axes, steps } = ranges(f)
    const out = [...before]
    const edits = axes.map((axis, k) => {
      const from = before[axis]
      const chosen = rangeOf(starts[k], ends[k], steps[k], from.atoms.length)
      if (chosen.length !== f.outputDims()[axis]) f.decline('its bounds are not known')
      const whole = chosen.length === from.atoms.length && steps[k] === 1
      if (!whole && steps[k] !== 1) f.freeze(from, 'a slice takes every other index')
      if (!whole && !isStatic(f)) f.freeze(from, "a slice's bounds are computed")
      const [start, end] = [f.inputs[1]?.origins?.[k], f.inputs[2]?.origins?.[k]]
      if (start?.from === 'axis') f.freeze(start.axis, 'its size bounds a slice')
      if (end?.from === 'axis') {
        if (whole) f.sizes(end, from)
        else f.freeze(end.axis, 'its size bounds a slice')
      }
      if (whole) return { k, from, first: 0, last: from.atoms.length, whole }
      out[axis] = f.pick(from, chosen)
      return { k, from, first: chosen[0], last: chosen[chosen.length - 1] + 1, whole }
    })
    f.onPrune((kept, node) => {
      const newStarts = [...starts]
      const newEnds = [...ends]
      for (const { k, from, first, last, whole } of edits) {
        const stays = kept.indices(from)
        if (stays.length === from.atoms.length) continue
        const before = (limit: number) => stays.filter((i) => i < limit).length
        newStarts[k] = before(first)
        newEnds[k] = whole ? ends[k] : before(last)
      }
      if (`${newStarts} ${newEnds}` !== `${starts} ${ends}`) write(f, node, newStarts, newEnds)
    })
    const origins = f.inputs[0]?.origins
    const picked =
      origins && before.length === 1 && axes.length === 1
        ? rangeOf(starts[0], ends[0], steps[0], origins.length).map((i) => origins[i])
        : undefined
    if (!picked) keepSizes(f, 0)
    return [{ axes: out, origins: picked } satisfies Flowing]
  },
  macs: noMacs,
})

const isStatic = (f: FlowContext) =>
  f.opset < 10 || (f.constant(1) !== undefined && f.constant(2) !== undefined)

function ranges(f: FlowContext) {
  const rank = f.axes(0).length
  const list = (i: number, key: string) => (f.opset < 10 ? intsAttribute(f.node, key) : f.integers(i))
  const starts = list(1, 'starts')
  const ends = list(2, 'ends')
  if (!starts || !ends) f.decline('its bounds are not known')
  const axes = (list(3, 'axes') ?? [...starts.keys()]).map((a) => positive(a, rank))
  const steps = (f.opset < 10 ? undefined : f.integers(4)) ?? starts.map(() => 1)
  return { starts, ends, axes, steps }
}

/** Indices that start:end:step takes of `size`, as numpy does. */
function rangeOf(start: number, end: number, step: number, size: number): number[] {
  const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v < 0 ? v + size : v, low), high)
  const indices: number[] = []
  if (step > 0) for (let i = clamp(start, 0, size); i < clamp(end, 0, size); i += step) indices.push(i)
  else for (let i = clamp(start, 0, size - 1); i > clamp(end, -1, size - 1); i += step) indices.push(i)
  return indices
}

function write(
  f: FlowContext,
  node: Parameters<Parameters<FlowContext['onPrune']>[0]>[1],
  starts: number[],
  ends: number[],
) {
  if (f.opset < 10) {
    node.attribute('starts', starts)
    node.attribute('ends', ends)
    return
  }
  for (const [i, values] of [
    [1, starts],
    [2, ends],
  ] as const) {
    const was = f.constant(i)
    if (was)
      node.input(
        i,
        was.dtype === 'int32'
          ? tensor('int32', was.dims, Int32Array.from(values))
          : // "To the end" is often written as 2^63 − 1, which as a number is one too many for int64.
            int64s(values.map((v) => Math.min(v, Number.MAX_SAFE_INTEGER))),
      )
  }
}

/** Indices along `axis`. Constant ones follow what stays; computed ones leave the axis whole. */
export const gather = defineOp({
  op: 'Gather',
  sizes: [0],
  flow(f) {
    const before = f.axes(0)
    const axis = positive(intAttribute(f.node, 'axis', 0), before.length)
    const from = before[axis]
    const size = from.atoms.length
    const indices = f.inputs[1]?.axes ?? []
    const constant = f.constant(1)
    const chosen = f.integers(1)?.map((i) => positive(i, size))
    let middle: readonly Axis[]
    if (constant && chosen && indices.length === 1) {
      middle = [f.pick(from, chosen)]
      f.onPrune((kept, node) => {
        const stays = kept.indices(from)
        if (stays.length === size) return
        const rank = new Map(stays.map((old, now) => [old, now]))
        node.input(1, int64s(chosen.flatMap((old) => rank.get(old) ?? [])))
      })
    } else if (constant && chosen && indices.length === 0) {
      f.freeze(f.pick(from, chosen), 'it is picked by number')
      middle = []
      f.onPrune((kept, node) => {
        const stays = kept.indices(from)
        if (stays.length < size)
          node.input(1, tensor('int64', [], BigInt64Array.of(BigInt(stays.indexOf(chosen[0])))))
      })
    } else {
      f.freeze(from, constant ? 'it is indexed by a table' : 'it is indexed by computed numbers')
      middle = indices.map((a) => withZero(a, false))
    }
    const origins = f.inputs[0]?.origins
    if (!chosen) keepSizes(f, 0)
    return [
      {
        axes: [...before.slice(0, axis), ...middle, ...before.slice(axis + 1)],
        origins: origins && chosen && before.length === 1 ? chosen.map((i) => origins[i]) : undefined,
      },
    ]
  },
  macs: noMacs,
})
