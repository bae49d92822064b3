import type { Tensor } from './tensor.js'

/** What an attribute holds. Integers are numbers: ONNX attributes beyond 2^53 do not occur in practice and are refused. */
export type AttributeValue =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  /** A subgraph (If, Loop, Scan) is carried whole; `captures` are the outer values it reads. */
  | { readonly type: 'graph'; readonly captures: readonly string[] }
  | { readonly type: 'other' }

/** `origin` is what the reader attached: it keeps the fields that Espalier does not model. */
export type Attribute = AttributeValue & { readonly origin?: object }

/**
 * One operator of the graph. Absent optional inputs and outputs are the empty string.
 * The default domain ('' or 'ai.onnx') is always ''.
 */
export interface Node {
  readonly name: string
  readonly op: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
  readonly origin?: object
}

type Plain = number | string | Tensor | readonly number[] | readonly string[]

/** A new node. Attributes are given as plain values; whole numbers become ints, so pass floats with `float()`. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Plain | Attribute | undefined>> = {},
  { name = outputs[0] ?? op, domain = '' }: { name?: string; domain?: string } = {},
): Node {
  const entries = Object.entries(attributes).filter(
    (e): e is [string, Plain | Attribute] => e[1] !== undefined,
  )
  return {
    name,
    op,
    domain,
    inputs,
    outputs,
    attributes: new Map(entries.map(([k, v]) => [k, attribute(v)])),
  }
}

export const float = (value: number): Attribute => ({ type: 'float', value })

function attribute(value: Plain | Attribute): Attribute {
  if (typeof value === 'number')
    return Number.isInteger(value) ? { type: 'int', value } : { type: 'float', value }
  if (typeof value === 'string') return { type: 'string', value }
  if (Array.isArray(value)) {
    if (value.some((v) => typeof v === 'string')) return { type: 'strings', value }
    return value.every(Number.isInteger) ? { type: 'ints', value } : { type: 'floats', value }
  }
  if ('type' in value) return value as Attribute
  return { type: 'tensor', value: value as Tensor }
}

/** The node with some attributes replaced, added, or (undefined) taken away; everything else is kept. */
export function withAttributes(
  n: Node,
  changes: Readonly<Record<string, Plain | Attribute | undefined>>,
): Node {
  const attributes = new Map(n.attributes)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) attributes.delete(key)
    else attributes.set(key, attribute(value))
  }
  return { ...n, attributes }
}

function read<T extends Attribute['type']>(n: Node, key: string, type: T) {
  const a = n.attributes.get(key)
  return a?.type === type ? (a as Extract<Attribute, { type: T }>) : undefined
}

export const intAttribute = (n: Node, key: string, otherwise: number): number =>
  read(n, key, 'int')?.value ?? otherwise
export const floatAttribute = (n: Node, key: string, otherwise: number): number =>
  read(n, key, 'float')?.value ?? otherwise
export const stringAttribute = (n: Node, key: string, otherwise: string): string =>
  read(n, key, 'string')?.value ?? otherwise
export const intsAttribute = (n: Node, key: string): readonly number[] | undefined =>
  read(n, key, 'ints')?.value
export const tensorAttribute = (n: Node, key: string): Tensor | undefined => read(n, key, 'tensor')?.value

/** Outer values that the node's subgraphs read. */
export const captures = (n: Node): string[] =>
  [...n.attributes.values()].flatMap((a) => (a.type === 'graph' ? a.captures : []))

/** Every value the node reads, those captured by its subgraphs included; absent inputs left out. */
export const reads = (n: Node): string[] => [...n.inputs.filter((i) => i !== ''), ...captures(n)]
