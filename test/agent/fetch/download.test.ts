import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@espalier/agent/clock.js'
import { Download } from '@espalier/agent/fetch/download.js'
import { Window } from '@espalier/agent/fetch/window.js'
import { Partial, sha256 } from '@espalier/agent/store/partial.js'
import { type BlocksRequest, wantedBlocks } from '@espalier/shared/messages/index.js'
import t from 'tap'

const blockBytes = 1000
const file = Buffer.from(Array.from({ length: 100_500 }, (_, i) => (i * 31) & 255))
const digest = sha256(file)
const blockOf = (i: number) => file.subarray(i * blockBytes, (i + 1) * blockBytes)
const list = {
  bytes: file.length,
  blockBytes,
  hashes: Array.from({ length: Math.ceil(file.length / blockBytes) }, (_, i) => sha256(blockOf(i))),
}

/** A download whose service answers by `answer`, a turn of the event loop later. */
function download(answer: (index: number, times: number) => Buffer | null) {
  const partial = new Partial(join(mkdtempSync(join(tmpdir(), 'espalier-dl-')), 'x.part'), list)
  const asked = new Map<number, number>()
  const requests: BlocksRequest[] = []
  const damaged: string[] = []
  const state = { isServed: true }
  const d = new Download(partial, {
    digest,
    clock: systemClock,
    patienceMs: 40,
    onDamaged: (error) => damaged.push(error.code),
    send: (request) => {
      if (!state.isServed) return false
      requests.push(request)
      for (const index of wantedBlocks(request)) {
        asked.set(index, (asked.get(index) ?? 0) + 1)
        const payload = answer(index, asked.get(index)!)
        if (payload)
          setImmediate(() => d.take({ kind: 'block', digestPrefix: digest.slice(0, 12), index, payload }))
      }
      return true
    },
  })
  return { d, partial, asked, requests, damaged, state }
}

const patient = () => new AbortController().signal

t.test('every block is asked for once when nothing is lost, in windows that grow from four', async (t) => {
  const { d, partial, asked, requests } = download(blockOf)
  await d.run(patient())
  partial.finish()
  t.ok(readFileSync(partial.path).equals(file))
  t.equal(Math.max(...asked.values()), 1)
  t.equal(requests[0].window, 4)
  t.ok(Math.max(...requests.map((r) => r.window)) > 4, 'the window grew')
})

t.test('lost blocks are asked for again, and only those', async (t) => {
  const { d, partial, asked } = download((i, times) => (i % 10 === 3 && times === 1 ? null : blockOf(i)))
  await d.run(patient())
  t.equal(partial.missing, 0)
  for (const [i, times] of asked)
    if (i % 10 !== 3) t.ok(times <= 2, `block ${i} was asked for ${times} times`)
})

t.test('a damaged block is refused, told, and fetched again', async (t) => {
  const bad = Buffer.from(blockOf(7))
  bad[500] ^= 1
  const { d, partial, damaged } = download((i, times) => (i === 7 && times === 1 ? bad : blockOf(i)))
  await d.run(patient())
  t.same(damaged, ['BLOCK_INVALID'])
  partial.finish()
  t.ok(readFileSync(partial.path).equals(file))
})

t.test('blocks that are not in the signed list, or in another place, are not taken', async (t) => {
  const { d, partial } = download(() => null)
  const running = d.run(patient())
  const send = (index: number, payload: Buffer) =>
    d.take({ kind: 'block', digestPrefix: digest.slice(0, 12), index, payload })
  const stranger = Buffer.alloc(blockBytes, 7)
  const before = partial.missing
  for (const [index, payload] of [
    [list.hashes.length, stranger],
    [2 ** 32 - 1, blockOf(0)],
    [3, stranger],
    [3, blockOf(4)],
    [3, Buffer.concat([blockOf(3), blockOf(3)])],
  ] as const)
    send(index, payload)
  t.equal(partial.missing, before)
  d.take({ kind: 'block', digestPrefix: '0'.repeat(12), index: 3, payload: blockOf(3) })
  t.equal(partial.missing, before, 'nor of another artifact')
  send(3, blockOf(3))
  t.equal(partial.missing, before - 1)
  for (let n = 0; n < 100; n++) send(5, stranger)
  await t.rejects(running, { code: 'BLOCK_INVALID' }, 'who sends nothing else is given up')
  t.equal(readFileSync(partial.path).length, file.length, 'and nothing is written beyond')
})

t.test('a service that only sends damage is given up', async (t) => {
  const { d } = download((i) => (i === 7 ? Buffer.alloc(blockBytes) : blockOf(i)))
  await t.rejects(d.run(patient()), { code: 'BLOCK_INVALID' })
})

t.test('while the service is away nothing is asked; when it returns, what is missing is', async (t) => {
  let dead = false
  const { d, partial, state, requests, asked } = download((i) => {
    if (i === 30) dead = true
    return dead && !state.isServed ? null : blockOf(i)
  })
  const running = d.run(patient())
  while (!dead) await new Promise((resolve) => setImmediate(resolve))
  state.isServed = false
  await new Promise((resolve) => setTimeout(resolve, 100))
  const before = requests.length
  t.ok(partial.missing > 0)
  state.isServed = true
  d.resume()
  await running
  t.ok(requests[before].fresh, 'the service is told to forget what it was asked before')
  t.equal(partial.missing, 0)
  t.ok([...asked.values()].reduce((a, b) => a + b) <= list.hashes.length + 128)
})

t.test('a refusal and an abort end the download with their reason', async (t) => {
  const { d } = download(() => null)
  const running = d.run(patient())
  d.take({
    kind: 'refusal',
    digestPrefix: digest.slice(0, 12),
    index: 0,
    payload: Buffer.from('{"code":"X"}'),
  })
  await t.rejects(running, { code: 'ARTIFACT_UNKNOWN' })
  const other = download(() => null)
  const abort = new AbortController()
  const aborted = other.d.run(abort.signal)
  abort.abort(new Error('enough'))
  await t.rejects(aborted, { message: 'enough' })
})

t.test('the window keeps to the path: twice bandwidth × round-trip time, 8 MiB at most', async (t) => {
  const window = new Window(32 * 1024)
  t.equal(window.blocks, 4)
  window.answered(10)
  window.delivered(4 * 32 * 1024, 10)
  t.equal(window.blocks, 8)
  window.lost()
  t.equal(window.blocks, 4, 'never below four')
  const fast = new Window(128 * 1024)
  fast.answered(100)
  for (let i = 0; i < 20; i++) fast.delivered(fast.blocks * 128 * 1024, 1)
  t.equal(fast.blocks, 64, '8 MiB')
})
