import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readConfig } from '@espalier/server/config.js'
import { startService } from '@espalier/server/main.js'
import pino from 'pino'
import t from 'tap'
import { launch, noBrowser } from '../support/browser.js'

/** What a page of another origin tries: each answers with what it got to see. */
const tries = (service: string, mqtt: string) => `
  const seen = {}
  const attempt = async (name, work) => { try { seen[name] = String(await work()) } catch (e) { seen[name] = 'refused' } }
  const text = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"id":"evil"}' }
  await attempt('read', async () => (await fetch('${service}/v1/devices')).text())
  await attempt('json', async () => (await fetch('${service}/v1/devices', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"id":"evil"}' })).status)
  await attempt('simple', async () => (await fetch('${service}/v1/devices', { ...text, mode: 'no-cors' })).type)
  await attempt('delete', async () => (await fetch('${service}/v1/devices/pi', { method: 'DELETE' })).status)
  await attempt('mqtt', async () => (await fetch('${mqtt}', { ...text, mode: 'no-cors' })).type)
  await attempt('events', () => new Promise((resolve, reject) => {
    const events = new EventSource('${service}/v1/events')
    events.onopen = () => resolve('open')
    events.onerror = reject
  }))
  await attempt('frame', () => new Promise((resolve, reject) => {
    const frame = document.createElement('iframe')
    frame.src = '${service}/'
    frame.onload = () => { try { resolve(frame.contentDocument.body.innerText) } catch (e) { reject(e) } }
    document.body.append(frame)
  }))
  const form = document.createElement('form')
  form.method = 'post'; form.action = '${service}/v1/devices'; form.enctype = 'text/plain'; form.target = 'elsewhere'
  form.innerHTML = '<input name=\\'{"id":"evil","x":"\\' value=\\'"}\\'>'
  document.body.append(form); form.submit()
  await new Promise((resolve) => setTimeout(resolve, 500))
  return seen
`

t.test(
  'a page of another origin reads nothing of the service on loopback and changes nothing',
  { skip: noBrowser },
  async (t) => {
    const flags = { data: t.testdir(), port: '0', mqttPort: '0' }
    const service = await startService(readConfig(flags, {}), pino({ level: 'silent' }))
    t.teardown(service.close)
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"id":"pi"}' }
    t.equal((await fetch(`${service.url}/v1/devices`, post)).status, 201)
    const site = createServer((_, answer) =>
      answer.setHeader('content-type', 'text/html').end('<body>evil</body>'),
    )
    site.listen(0, '127.0.0.1')
    await once(site, 'listening')
    t.teardown(() => site.close())
    const browser = await launch()
    t.teardown(() => browser.close())
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)
    const mqtt = service.mqttUrl.replace('mqtt:', 'http:')
    const seen = (await page.evaluate(`(async () => {${tries(service.url, mqtt)}})()`)) as Record<
      string,
      string
    >
    for (const name of ['read', 'json', 'delete', 'events', 'mqtt']) t.equal(seen[name], 'refused', name)
    t.match(seen.simple, /opaque|refused/, 'an answer that cannot be read')
    t.notMatch(seen.frame, /Espalier/i, 'nor is the dashboard framed')
    const { items } = (await (await fetch(`${service.url}/v1/devices`)).json()) as { items: { id: string }[] }
    t.same(
      items.map(({ id }) => id),
      ['pi'],
      'no device came, none went',
    )
  },
)
