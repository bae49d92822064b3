/** A file as numpy.save writes it. */
export function npy(
  descr: string,
  dims: readonly number[],
  data: NodeJS.TypedArray,
  more = "'fortran_order': False",
): Uint8Array {
  const header = `{'descr': '${descr}', ${more}, 'shape': (${dims.join(', ')},), }\n`
  const head = Buffer.alloc(10)
  head.write('\x93NUMPY\x01\x00', 'latin1')
  head.writeUInt16LE(header.length, 8)
  return Buffer.concat([
    head,
    Buffer.from(header),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ])
}

/** An idx file of bytes: two zeros, type 8, rank, big-endian sizes, values. */
export function idx(dims: readonly number[], values: Iterable<number>): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header[2] = 8
  header[3] = dims.length
  for (const [i, d] of dims.entries()) header.writeUInt32BE(d, 4 + 4 * i)
  return Buffer.concat([header, Buffer.from([...values])])
}
