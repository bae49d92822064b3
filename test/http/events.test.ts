import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { listen } from '../support/service.js'

/** Reads a stream of events until `text` holds `wanted`. */
async function readUntil(url: string, wanted: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  const response = await fetch(`${url}/v1/events`, { headers, signal: stop.signal })
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (text.includes(wanted)) break
  }
  stop.abort()
  return { text, type: response.headers.get('content-type') }
}

t.test('events are streamed as they happen, with signs of life between them', async (t) => {
  const { url, events, close } = await listen(t.testdir(), { heartbeatMs: 20 })
  t.teardown(close)
  const reading = readUntil(url, ': alive')
  const { text, type } = await reading
  t.equal(type, 'text/event-stream')
  t.match(text, /^retry: \d+/)
  const next = readUntil(url, 'device.changed')
  const repeat = setInterval(() => events.emit({ type: 'device.changed', device: 'pi' }), 20)
  t.match(
    (await next).text,
    /id: \d+\nevent: device\.changed\ndata: \{"type":"device\.changed","device":"pi","seq":/,
  )
  clearInterval(repeat)
})

t.test('who comes back with Last-Event-ID reads what was missed, or is told to read all anew', async (t) => {
  const { url, events, close } = await listen(t.testdir())
  t.teardown(close)
  for (const device of ['a', 'b', 'c']) events.emit({ type: 'device.changed', device })
  const { text } = await readUntil(url, '"c"', { 'last-event-id': '1' })
  t.match(text, /"b"[\s\S]*"c"/)
  t.notMatch(text, /"a"/)
  t.match((await readUntil(url, 'reset', { 'last-event-id': '77' })).text, /event: reset/)
})

t.test('a watcher that does not read is cut off, and the service goes on', async (t) => {
  const { url, events, close } = await listen(t.testdir())
  t.teardown(close)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(`GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  socket.pause()
  let closed = false
  socket.on('close', () => {
    closed = true
  })
  socket.on('error', () => {}) // a reset is one way of being cut off
  await pause(100)
  const big = 'x'.repeat(100_000)
  for (let i = 0; i < 400 && !closed; i++) {
    events.emit({ type: 'device.changed', device: big })
    await pause(1)
  }
  socket.resume()
  while (!closed) await pause(10)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  t.ok(process.memoryUsage().rss < 1e9, 'what it did not read did not pile up')
})

t.test('open streams do not keep the service from ending', async (t) => {
  const { url, close } = await listen(t.testdir())
  const response = await fetch(`${url}/v1/events`)
  await close()
  await response.text().catch(() => '') // cut off or ended, either will do
  t.rejects(fetch(`${url}/healthz`))
})
