import { int64s, intAttribute, intsAttribute, numbersOf } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, noMacs, positive, withZero } from './define.js'

const byNumber = 'it is indexed by computed numbers'

/** Joins dimensions of one size; a longer one is left whole, for only its first indices are reached. */
function reached(f: FlowContext, data: Axis, part: Axis): void {
  if (data.atoms.length === part.atoms.length) f.same(data, part)
  else f.freeze([data, part], 'only its first indices are reached')
}

/** y of the indices' shape; along the other axes index i is data's index i. */
export const gatherElements = defineOp({
  op: 'GatherElements',
  flow(f) {
    const [data, indices] = [f.axes(0), f.axes(1)]
    const axis = positive(intAttribute(f.node, 'axis', 0), data.length)
    f.freeze(data[axis], byNumber)
    data.forEach((a, i) => {
      if (i !== axis) reached(f, a, indices[i])
    })
    return [{ axes: indices.map((a, i) => withZero(a, i !== axis && data[i].zero)) }]
  },
  macs: noMacs,
})

/** data[b…, i…, rest…] at indices[b…, q…, k] → y[b…, q…, rest…]: what the k numbers index is left whole. */
export const gatherND = defineOp({
  op: 'GatherND',
  flow(f) {
    const [data, indices] = [f.axes(0), f.axes(1)]
    const batch = intAttribute(f.node, 'batch_dims', 0)
    const numbers = indices[indices.length - 1]
    const rest = batch + numbers.atoms.length
    for (let i = 0; i < batch; i++) f.same(data[i], indices[i])
    f.freeze([numbers, ...data.slice(batch, rest)], byNumber)
    const places = indices.slice(batch, -1).map((a) => withZero(a, false))
    return [{ axes: [...data.slice(0, batch), ...places, ...data.slice(rest)] }]
  },
  macs: noMacs,
})

/** data with updates written, or added, at indices along `axis`; the other axes go through. */
const scattering = (op: string) =>
  defineOp({
    op,
    flow(f) {
      const [data, indices, updates] = [f.axes(0), f.axes(1), f.axes(2)]
      const axis = positive(intAttribute(f.node, 'axis', 0), data.length)
      f.freeze([data[axis], indices[axis], updates[axis]], byNumber)
      const axes = data.map((a, i) => {
        if (i === axis) return withZero(a, false)
        reached(f, a, indices[i])
        reached(f, a, updates[i])
        return withZero(a, a.zero && updates[i].zero)
      })
      return [{ axes }]
    },
    macs: noMacs,
  })

export const scatters = ['Scatter', 'ScatterElements'].map(scattering)

/**
 * data[i…, rest…] with updates[q…, rest…] at indices[q…, k]. A list of constant indices along the first dimension follows
 * what stays there, as do its updates; what other indices reach is left whole.
 */
export const scatterND = defineOp({
  op: 'ScatterND',
  flow(f) {
    const [data, indices, updates] = [f.axes(0), f.axes(1), f.axes(2)]
    const k = indices[indices.length - 1].atoms.length
    const q = indices.length - 1
    const listed = k === 1 && q === 1 ? listedIndices(f, data[0]) : undefined
    if (listed) f.same(f.pick(data[0], listed), updates[0])
    else f.freeze([...indices, ...data.slice(0, k), ...updates.slice(0, q)], byNumber)
    const axes = data.map((a, i) => {
      if (i < k) return withZero(a, listed !== undefined && a.zero && updates[0].zero)
      const update = updates[q + i - k]
      f.same(a, update)
      return withZero(a, a.zero && update.zero)
    })
    return [{ axes }]
  },
  macs: noMacs,
})

/** Constant indices [q,1] along an axis, kept up with it. */
function listedIndices(f: FlowContext, axis: Axis): readonly number[] | undefined {
  const constant = f.constant(1)
  if (!constant) return undefined
  const size = axis.atoms.length
  const listed = numbersOf(constant).map((i) => positive(i, size))
  f.onPrune((kept, node) => {
    const stays = kept.indices(axis)
    if (stays.length === size) return
    const place = new Map(stays.map((old, now) => [old, now]))
    const left = listed.flatMap((old) => place.get(old) ?? [])
    node.input(1, { ...int64s(left), dims: [left.length, 1] })
  })
  return listed
}

/** Windows of `axis` of a cache are overwritten; batch and the dimensions after the axis go through. */
export const tensorScatter = defineOp({
  op: 'TensorScatter',
  flow(f) {
    const [cache, update] = [f.axes(0), f.axes(1)]
    const axis = positive(intAttribute(f.node, 'axis', -2), cache.length)
    f.freeze([cache[axis], update[axis], ...(f.inputs[2]?.axes ?? [])], byNumber)
    const axes = cache.map((a, i) => {
      if (i === axis) return withZero(a, false)
      f.same(a, update[i])
      return withZero(a, a.zero && update[i].zero)
    })
    return [{ axes }]
  },
  macs: noMacs,
})

/** The k largest along `axis`, and where they were. */
export const topK = defineOp({
  op: 'TopK',
  flow(f) {
    const before = f.axes(0)
    const axis = positive(intAttribute(f.node, 'axis', -1), before.length)
    f.freeze(before[axis], 'TopK chooses along it')
    const found = f.fixed(f.outputDims()[axis], 'what TopK found')
    const axes = before.map((a, i) => (i === axis ? found : a))
    return [{ axes }, { axes: axes.map((a) => withZero(a, false)) }]
  },
  macs: noMacs,
})

/** Indices along `axis` that a computed mask chooses; all of the flattened input without an axis. */
export const compress = defineOp({
  op: 'Compress',
  flow(f) {
    const before = f.axes(0)
    if (!f.node.attributes.has('axis')) f.decline('a mask chooses among all its elements')
    const axis = positive(intAttribute(f.node, 'axis', 0), before.length)
    f.freeze([before[axis], ...f.axes(1)], 'a mask chooses along it')
    return [
      { axes: before.map((a, i) => (i === axis ? f.fixed(f.outputDims()[i], 'what a mask chose') : a)) },
    ]
  },
  macs: noMacs,
})

/** A new axis of `depth` at `axis`; the indices' own go through. */
export const oneHot = defineOp({
  op: 'OneHot',
  flow(f) {
    const axes = f.axes(0).map((a) => withZero(a, false))
    const axis = positive(intAttribute(f.node, 'axis', -1), axes.length + 1)
    f.freeze(f.axes(2), 'a value for off and one for on')
    return [{ axes: axes.toSpliced(axis, 0, f.fixed(f.outputDims()[axis], 'the places of OneHot')) }]
  },
  macs: noMacs,
})

/** Values and where they are counted among all elements: those places would shift. */
export const maxUnpool = defineOp({
  op: 'MaxUnpool',
  flow(f) {
    const [n, ...rest] = f.axes(0)
    const [places, ...others] = f.axes(1)
    f.freeze([n, places, ...rest, ...others], 'positions of maxima are counted across channels')
    return [
      { axes: f.outputDims().map((s) => f.fixed(s, 'positions of maxima are counted across channels')) },
    ]
  },
  macs: noMacs,
})

/** `axes` (all, if none are given) cropped or padded about their middle to given sizes; the others go through. */
export const centerCropPad = defineOp({
  op: 'CenterCropPad',
  sizes: [1],
  flow(f) {
    const sizes = f.outputDims()
    const before = f.axes(0)
    const given = (intsAttribute(f.node, 'axes') ?? [...before.keys()]).map((a) => positive(a, before.length))
    const axes = before.map((a, i) => {
      const origin = f.inputs[1]?.origins?.[given.indexOf(i)]
      if (a.atoms.length === sizes[i]) {
        if (given.includes(i)) f.sizes(origin, a)
        return a
      }
      if (origin?.from === 'axis') f.freeze(origin.axis, 'its size crops or pads another')
      f.freeze(a, 'it is cropped or padded about its middle')
      return f.fixed(sizes[i], 'a cropped or padded dimension')
    })
    return [{ axes }]
  },
  macs: noMacs,
})
