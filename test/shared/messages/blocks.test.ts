import { blockHeader, parseBlock, wanted, wantedBlocks } from '@espalier/shared/messages/index.js'
import t from 'tap'

const digest = 'ab'.repeat(32)

t.test('the blocks asked for are the blocks understood', (t) => {
  const blocks = [5, 6, 13, 14, 500]
  t.same(wantedBlocks({ digest, ...wanted(blocks), window: 128 }), blocks)
  t.same(wantedBlocks({ digest, ...wanted(blocks), window: 2 }), [5, 6], 'no more than the window')
  t.throws(() => wanted([]), { code: 'MESSAGE_INVALID' })
  t.end()
})

t.test('a block is read back from its frame', (t) => {
  const payload = Buffer.from('some weights')
  const block = parseBlock(Buffer.concat([blockHeader('block', digest, 7, payload.length), payload]))
  t.match(block, { kind: 'block', digestPrefix: 'abababababab', index: 7 })
  t.same(Buffer.from(block.payload), payload)
  t.match(parseBlock(blockHeader('alone', digest, 0, 0)), { kind: 'alone', payload: { length: 0 } })
  t.end()
})

t.test('a frame that is cut, padded, of another version or kind is refused', (t) => {
  const frame = Buffer.concat([blockHeader('block', digest, 7, 4), Buffer.alloc(4)])
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(frame)
    copy[at] = value
    return copy
  }
  for (const bytes of [
    frame.subarray(0, 15),
    frame.subarray(0, 19),
    Buffer.concat([frame, frame]),
    changed(0, 9),
    changed(1, 0),
    changed(1, 4),
  ])
    t.throws(() => parseBlock(bytes), { code: 'BLOCK_INVALID' })
  t.end()
})
