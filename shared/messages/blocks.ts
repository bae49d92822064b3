import * as Type from 'typebox'
import { EspalierError } from '../errors.js'
import { Count, Digest } from './fields.js'
import { defineMessage } from './message.js'

/** The most blocks an artifact has. */
export const mostBlocks = 65_536
/** The most blocks, and bytes, that may be under way to a device whose service does not pace them. */
export const maxWindow = 128
export const maxWindowBytes = 8 * 1024 * 1024

/**
 * `blocks/request`: send at most `window` of the blocks whose bits are set, the lowest first. Bit i of `bitmap` (base64; bit
 * i is `bytes[i >> 3] >> (i & 7) & 1`) is block `first + i`. The device sets the bits of all that it lacks but for what
 * it has asked for and still expects, so no block travels twice. A request adds to the ones before it;
 * one with another digest, or `fresh`, first drops what was still waiting to be sent. `listens`: the device is
 * subscribed to the artifact's topic, where a block may come that others lack as well.
 */
export const BlocksRequest = Type.Object({
  digest: Digest,
  first: Count,
  bitmap: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 64 * 1024 }),
  window: Type.Integer({ minimum: 1, maximum: mostBlocks }),
  fresh: Type.Optional(Type.Boolean()),
  listens: Type.Optional(Type.Boolean()),
})
export type BlocksRequest = Type.Static<typeof BlocksRequest>
export const blocksRequest = defineMessage('blocks request', 66 * 1024, BlocksRequest)

/** The bitmap of the given blocks, relative to the lowest of them. */
export function wanted(blocks: readonly number[]): { first: number; bitmap: string } {
  if (!blocks.length) throw new EspalierError('MESSAGE_INVALID', 'blocks request: no block is asked for')
  const first = Math.min(...blocks)
  const bits = new Uint8Array(((Math.max(...blocks) - first) >> 3) + 1)
  for (const block of blocks) bits[(block - first) >> 3] |= 1 << ((block - first) & 7)
  return { first, bitmap: Buffer.from(bits).toString('base64') }
}

/** The blocks whose bits are set, in rising order. */
export function lackedBlocks({ first, bitmap }: Pick<BlocksRequest, 'first' | 'bitmap'>): number[] {
  const bits = Buffer.from(bitmap, 'base64')
  const blocks: number[] = []
  for (let i = 0; i < bits.length * 8; i++) if ((bits[i >> 3] >> (i & 7)) & 1) blocks.push(first + i)
  return blocks
}

/** The blocks that a request asks for, were it the only one. */
export const wantedBlocks = (request: BlocksRequest): number[] =>
  lackedBlocks(request).slice(0, request.window)

/**
 * `blocks/data`, binary, big-endian: version (1 byte, 1), kind (1 byte: 1 a block, 2 a refusal, 3 alone), the first 6
 * bytes of the artifact's digest, index (4 bytes), length (4 bytes), payload. A refusal's payload is JSON,
 * `{ code, message }`, and its index 0. Alone, with no payload, tells one that listens that it is served by itself from
 * now on. `artifacts/{digest}/{block}` carries the same, of blocks alone.
 */
export const blockHeaderBytes = 16
const version = 1
const kinds = { block: 1, refusal: 2, alone: 3 } as const
const kindOf = new Map<number, Block['kind']>(
  (Object.keys(kinds) as Block['kind'][]).map((kind) => [kinds[kind], kind]),
)

export interface Block {
  readonly kind: keyof typeof kinds
  /** The first 12 hexadecimal digits of the artifact's digest. */
  readonly digestPrefix: string
  readonly index: number
  /** A view into the message: copy it to keep it. */
  readonly payload: Uint8Array
}

/** The 16 bytes that go before a block's payload of `length` bytes. */
export function blockHeader(kind: Block['kind'], digest: string, index: number, length: number): Buffer {
  const header = Buffer.alloc(blockHeaderBytes)
  header[0] = version
  header[1] = kinds[kind]
  header.write(digest.slice(0, 12), 2, 'hex')
  header.writeUInt32BE(index, 8)
  header.writeUInt32BE(length, 12)
  return header
}

/** A block from bytes nobody vouches for. @throws BLOCK_INVALID */
export function parseBlock(bytes: Uint8Array): Block {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wrong = (what: string) => new EspalierError('BLOCK_INVALID', `block of ${view.length} bytes: ${what}`)
  if (view.length < blockHeaderBytes) throw wrong(`shorter than its header of ${blockHeaderBytes} bytes`)
  if (view[0] !== version)
    throw wrong(`version ${view[0]}, where this program knows ${version}; upgrade the agent`)
  const kind = kindOf.get(view[1])
  if (!kind) throw wrong(`kind ${view[1]} is unknown`)
  const payload = view.subarray(blockHeaderBytes)
  const length = view.readUInt32BE(12)
  if (length !== payload.length) throw wrong(`its header promises ${length} bytes, ${payload.length} came`)
  return { kind, digestPrefix: view.toString('hex', 2, 8), index: view.readUInt32BE(8), payload }
}
