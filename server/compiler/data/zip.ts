import { bytesAt, sizeOf } from './files.js'

/** A file within a zip file. */
export interface Entry {
  /** 0: stored as it is; 8: deflated. */
  readonly method: number
  /** Where its header begins in the zip file, and how many bytes follow it. */
  readonly header: number
  readonly stored: number
  /** Bytes of it once it is inflated. */
  readonly size: number
}

const DIRECTORY_BYTES = 2 ** 26
/** A comment may follow the end's record. */
const END = { record: 22, comment: 0xffff }

/**
 * The directory of a zip file, read without its contents
 * (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12 to 4.3.16 and 4.5.3).
 * @throws what `invalid` makes of the reason
 */
export function entriesOf(path: string, invalid: (why: string) => Error): Map<string, Entry> {
  const total = sizeOf(path)
  const { count, at, bytes } = directoryOf(path, total, invalid)
  if (bytes > DIRECTORY_BYTES || at + bytes > total) throw invalid('its directory lies beyond its end')
  const directory = bytesAt({ path, offset: at }, 0, bytes)
  const view = viewOf(directory)
  const entries = new Map<string, Entry>()
  let p = 0
  for (let i = 0; i < count; i++) {
    if (p + 46 > bytes || view.getUint32(p, true) !== 0x02014b50) throw invalid('its directory is broken')
    const [name, extra, comment] = [28, 30, 32].map((o) => view.getUint16(p + o, true))
    if (p + 46 + name + extra > bytes) throw invalid('its directory is broken')
    const called = Buffer.from(directory.subarray(p + 46, p + 46 + name)).toString('utf8')
    const sizes = { size: 24, stored: 20, header: 42 }
    const found = wide(view, p, p + 46 + name, extra, sizes, invalid)
    if (view.getUint16(p + 8, true) & 1) throw invalid(`'${called}' in it is encrypted`)
    entries.set(called, { method: view.getUint16(p + 10, true), ...found })
    p += 46 + name + extra + comment
  }
  return entries
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Where the directory is, from the record at the file's end, or that of zip64. */
function directoryOf(path: string, total: number, invalid: (why: string) => Error) {
  const length = Math.min(total, END.record + END.comment)
  const tail = viewOf(bytesAt({ path, offset: total - length }, 0, length))
  let end = length - END.record
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end--
  if (end < 0) throw invalid('it is no zip file')
  const small = {
    count: tail.getUint16(end + 10, true),
    bytes: tail.getUint32(end + 12, true),
    at: tail.getUint32(end + 16, true),
  }
  if (small.count < 0xffff && small.bytes < 0xffffffff && small.at < 0xffffffff) return small
  if (end < 20 || tail.getUint32(end - 20, true) !== 0x07064b50) throw invalid('its directory is not found')
  const offset = whole(tail, end - 20 + 8, invalid)
  if (offset + 56 > total) throw invalid('its directory lies beyond its end')
  const record = viewOf(bytesAt({ path, offset }, 0, 56))
  if (record.getUint32(0, true) !== 0x06064b50) throw invalid('its directory is not found')
  const [count, bytes, at] = [32, 40, 48].map((o) => whole(record, o, invalid))
  return { count, bytes, at }
}

/** Sizes and offset of an entry; those of 32 bits that are full stand in its zip64 field, in this order. */
function wide(
  view: DataView,
  entry: number,
  from: number,
  length: number,
  fields: Readonly<Record<'size' | 'stored' | 'header', number>>,
  invalid: (why: string) => Error,
) {
  let at = from
  while (at + 4 <= from + length && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true)
  at += 4
  const next = (field: number) => {
    const value = view.getUint32(entry + field, true)
    if (value !== 0xffffffff) return value
    if (at + 8 > from + length) throw invalid('its directory is broken')
    at += 8
    return whole(view, at - 8, invalid)
  }
  return { size: next(fields.size), stored: next(fields.stored), header: next(fields.header) }
}

function whole(view: DataView, at: number, invalid: (why: string) => Error): number {
  const value = Number(view.getBigUint64(at, true))
  if (Number.isSafeInteger(value)) return value
  throw invalid('its directory is broken')
}

/** Where an entry's bytes begin: its own header may be longer than the directory says. */
export function contentsOf(path: string, { header, stored }: Entry, invalid: (why: string) => Error): number {
  const total = sizeOf(path)
  if (header + 30 > total) throw invalid('its directory lies beyond its end')
  const view = viewOf(bytesAt({ path, offset: header }, 0, 30))
  if (view.getUint32(0, true) !== 0x04034b50) throw invalid('its directory is broken')
  const offset = header + 30 + view.getUint16(26, true) + view.getUint16(28, true)
  if (offset + stored > total) throw invalid('it is cut short')
  return offset
}
