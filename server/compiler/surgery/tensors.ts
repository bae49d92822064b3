import { elementCount, stridesOf, type Tensor } from '../graph/index.js'

/** The tensor with only these positions left along each dimension; null keeps a dimension whole. */
export function sliceTensor(t: Tensor, kept: readonly (readonly number[] | null)[]): Tensor {
  if (kept.every((k, d) => k === null || k.length === t.dims[d])) return t
  const dims = t.dims.map((size, d) => kept[d]?.length ?? size)
  const strides = stridesOf(t.dims)
  let offsets = [0]
  dims.forEach((size, d) => {
    const steps = Array.from({ length: size }, (_, i) => (kept[d]?.[i] ?? i) * strides[d])
    offsets = offsets.flatMap((base) => steps.map((step) => base + step))
  })
  const data = t.data.slice(0, elementCount(dims))
  offsets.forEach((from, to) => {
    data[to] = t.data[from]
  })
  return { dtype: t.dtype, dims, data }
}

/** The tensor with zeros, or what `zero` gives by flat index, wherever an index is not kept along some dimension. */
export function zeroOutside(
  t: Tensor,
  kept: readonly (readonly number[] | null)[],
  zero: (i: number) => number = () => 0,
): Tensor {
  if (kept.every((k, d) => k === null || k.length === t.dims[d])) return t
  const data = t.data.slice()
  const strides = stridesOf(t.dims)
  kept.forEach((k, d) => {
    if (!k) return
    const stays = new Set(k)
    for (let i = 0; i < data.length; i++) {
      if (!stays.has(Math.floor(i / strides[d]) % t.dims[d]))
        data[i] = typeof data[i] === 'bigint' ? BigInt(zero(i)) : zero(i)
    }
  })
  return { dtype: t.dtype, dims: t.dims, data }
}
