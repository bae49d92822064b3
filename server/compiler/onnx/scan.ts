import { isUtf8 } from 'node:buffer'
import type { DescField, DescMessage } from '@bufbuild/protobuf'
import { ScalarType } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { EspalierError } from '@espalier/shared'
import { ModelProtoSchema } from 'onnx-buf'
import { most } from '../most.js'

/** Messages that are counted by themselves too. */
const plurals: ReadonlyMap<string, 'nodes' | 'tensors' | 'functions'> = new Map([
  ['NodeProto', 'nodes'],
  ['TensorProto', 'tensors'],
  ['FunctionProto', 'functions'],
] as const)

/** Texts that are not names. */
const prose = new Set(['doc_string', 'value'])

/**
 * Walks the messages of an ONNX file without decoding them, so that nothing is allocated for what is declared.
 * @throws Error for a length or a type that does not go with the format; MODEL_TOO_HEAVY for more, or deeper, than
 *   `most` allows; MODEL_INVALID for a text that is no UTF-8.
 */
export function scan(bytes: Uint8Array): void {
  const counts = { messages: 0, nodes: 0, tensors: 0, functions: 0 }
  message(new BinaryReader(bytes), ModelProtoSchema, bytes.length, 1)

  function count(what: keyof typeof counts): void {
    if (++counts[what] > most[what]) throw heavy('holds more than', most[what], what)
  }

  function message(reader: BinaryReader, desc: DescMessage, end: number, depth: number): void {
    if (depth > most.depth) throw heavy('is nested deeper than', most.depth, 'messages')
    count('messages')
    const plural = plurals.get(desc.name)
    if (plural) count(plural)
    const fields = fieldsOf(desc)
    while (reader.pos < end) {
      const [number, wire] = reader.tag()
      const field = fields.get(number)
      if (!field) {
        reader.skip(wire, number)
        continue
      }
      if (wire !== WireType.LengthDelimited) throw new Error(`field ${field.name} is not what it should be`)
      const length = reader.uint32()
      const stop = reader.pos + length
      if (stop > end) throw new Error(`field ${field.name} is longer than what holds it`)
      if (field.message) message(reader, field.message, stop, depth + 1)
      else text(field, bytes.subarray(reader.pos, stop))
      reader.pos = stop
    }
    if (reader.pos !== end) throw new Error('a field is longer than what holds it')
  }
}

function text({ name }: DescField, bytes: Uint8Array): void {
  if (bytes.length > most.name && !prose.has(name)) throw heavy('has a name longer than', most.name, 'bytes')
  if (!isUtf8(bytes)) {
    throw new EspalierError(
      'MODEL_INVALID',
      `the model has a text that is not UTF-8 (${name}); export it again`,
    )
  }
}

const known = new Map<DescMessage, ReadonlyMap<number, DescField>>()

/** The fields that hold messages or text, by number. */
function fieldsOf(desc: DescMessage): ReadonlyMap<number, DescField> {
  const before = known.get(desc)
  if (before) return before
  const fields = new Map(
    desc.fields.flatMap((f) => (f.message || f.scalar === ScalarType.STRING ? [[f.number, f] as const] : [])),
  )
  known.set(desc, fields)
  return fields
}

const heavy = (what: string, limit: number, unit: string) =>
  new EspalierError('MODEL_TOO_HEAVY', `the model ${what} ${limit.toLocaleString('en')} ${unit}`)
