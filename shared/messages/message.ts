import type * as Type from 'typebox'
import { Compile, type Validator } from 'typebox/schema'
import { EspalierError } from '../errors.js'

/**
 * A JSON message: its schema, the type derived from it, and the most bytes it may have. Properties that
 * the schema does not name are allowed and ignored, so that service and agents can be upgraded apart.
 */
export interface Message<S extends Type.TSchema = Type.TSchema> {
  readonly name: string
  readonly schema: S
  readonly maxBytes: number
  readonly validator: () => Validator
}

/** Declares a message; its validator is compiled when it is first used. */
export function defineMessage<S extends Type.TSchema>(name: string, maxBytes: number, schema: S): Message<S> {
  let compiled: Validator | undefined
  const validator = () => {
    compiled ??= Compile(schema) as Validator
    return compiled
  }
  return { name, schema, maxBytes, validator }
}

/**
 * A message from bytes nobody vouches for.
 * @throws MESSAGE_TOO_LARGE, or MESSAGE_INVALID naming the first property that is wrong.
 */
export function parse<S extends Type.TSchema>(message: Message<S>, bytes: Uint8Array): Type.Static<S> {
  return check(message, parseJson(message.name, message.maxBytes, bytes))
}

/** The bytes of a message of ours. @throws MESSAGE_INVALID, MESSAGE_TOO_LARGE when it breaks its own schema. */
export function encode<S extends Type.TSchema>(message: Message<S>, content: Type.Static<S>): Buffer {
  const bytes = Buffer.from(JSON.stringify(check(message, content)))
  bound(message.name, message.maxBytes, bytes)
  return bytes
}

/** `value` if it fits the message's schema. @throws MESSAGE_INVALID naming the first property that is wrong. */
export function check<S extends Type.TSchema>(message: Message<S>, value: unknown): Type.Static<S> {
  const validator = message.validator()
  if (validator.Check(value)) return value as Type.Static<S>
  const [, errors] = validator.Errors(value)
  const deepest = errors.reduce((a, b) => (b.instancePath.length > a.instancePath.length ? b : a), errors[0])
  const where = deepest.instancePath ? `property ${deepest.instancePath}` : 'it'
  throw new EspalierError('MESSAGE_INVALID', `${message.name}: ${where} ${deepest.message}`)
}

/** JSON of bounded size. */
export function parseJson(name: string, maxBytes: number, bytes: Uint8Array): unknown {
  bound(name, maxBytes, bytes)
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch (cause) {
    throw new EspalierError('MESSAGE_INVALID', `${name}: not JSON`, { cause })
  }
}

function bound(name: string, maxBytes: number, bytes: Uint8Array): void {
  if (bytes.byteLength <= maxBytes) return
  throw new EspalierError(
    'MESSAGE_TOO_LARGE',
    `${name}: ${bytes.byteLength} bytes, where at most ${maxBytes} are allowed`,
  )
}
