/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Page } from 'playwright-core'
import t from 'tap'
import { noBrowser } from '../support/browser.js'
import { opener, rowOf } from '../support/dashboard.js'
import { furnish, register, serve } from '../support/house.js'

const open = opener(t)
const skip = noBrowser

t.test('an empty service says what to type next', { skip }, async (t) => {
  const service = await serve(t, t.testdir())
  const page = await open(t, service.url)
  await page.getByText('npx espalier devices create').waitFor()
  await page.getByText('npx espalier models create').waitFor()
  t.equal(await page.locator('.summary dd').first().innerText(), '0 of 0')
})

t.test(
  'a device appears when it connects and its latency is drawn as it reports, without a reload',
  { skip },
  async (t) => {
    const data = t.testdir()
    const { variants } = await furnish(data)
    const service = await serve(t, data)
    const fleet = await open(t, service.url)
    const device = await open(t, service.url, '/#/devices/pi-4')
    await device.getByText("there is no device 'pi-4'").waitFor()
    for (const page of [fleet, device])
      await page.evaluate(() => document.body.setAttribute('data-same-page', ''))

    const connect = await register(t, service, 'pi-4')
    await rowOf(fleet, 'pi-4').getByText('never connected').waitFor()
    const visitor = await connect()
    const active = { model: 'digits', version: 2, variant: variants[0].digest }
    await visitor.says({}, { active })
    const row = rowOf(fleet, 'pi-4')
    await row.getByText('active', { exact: true }).waitFor()
    await row.getByText('Raspberry Pi 4 Model B Rev 1.4').waitFor()
    await row.getByText('digits-8MB').waitFor()
    await row.getByText('no report yet').waitFor()
    await device.getByText('No report yet').waitFor()

    await visitor.reports({ variant: active.variant, p50Ms: 4.25, p95Ms: 5.5, measuredRamBytes: 7_650_000 })
    await row.locator('[data-points="1"]').waitFor()
    t.equal(await row.locator('.p50').innerText(), '4.25')
    t.equal(await row.locator('.p95').innerText(), '5.50')
    t.match(await row.locator('.ram').innerText(), /7\.65 MB of 9\.00 MB/)
    await device.locator('.chart [data-points="1"] canvas').waitFor()
    const one = await paintedLike(device, '--series-1')
    t.ok(one > 5, `one point is painted (${one} pixels)`)

    await visitor.reports({ variant: active.variant, at: Date.now() + 30_000, p50Ms: 4.75, p95Ms: 6 })
    await row.locator('[data-points="2"]').waitFor()
    await device.locator('.chart [data-points="2"]').waitFor()
    await device.waitForFunction(() => document.querySelectorAll('tr[data-report]').length === 2)
    const two = await paintedLike(device, '--series-1')
    t.ok(two > 2 * one, `the second is joined to it by a line (${two} pixels)`)

    await visitor.wishes({
      ...{ model: 'digits', version: 2, maximise: 'speed', memoryBytes: 1e6, p95Ms: 3, top1: 0.9, since: 1 },
      nearest: {
        ...{ variant: active.variant, name: 'digits-8MB', measured: true },
        ...{ memoryBytes: 7_650_000, p95Ms: 6, top1: 0.97 },
      },
    })
    const wished = device.locator('section', { hasText: 'No variant satisfies this device' })
    await wished.waitFor()
    t.match(await wished.innerText(), /1\.00 MB.*3\.00 ms.*90\.00 %.*7\.65 MB, 6\.00 ms p95, 97\.00 %/s)
    await visitor.wishes(null)
    await wished.waitFor({ state: 'detached' })

    await visitor.leaves()
    await row.getByText('offline').waitFor()
    for (const page of [fleet, device])
      t.equal(await page.locator('body[data-same-page]').count(), 1, 'no reload')
  },
)

/** Counts the canvas's pixels of about the colour that a custom property stands for. */
const paintedLike = (page: Page, property: string) =>
  page.evaluate((property) => {
    const canvas = document.querySelector('canvas')!
    const probe = document.body.appendChild(document.createElement('i'))
    probe.style.color = `var(${property})`
    const wanted = getComputedStyle(probe).color.match(/\d+/g)!.map(Number)
    probe.remove()
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
    let count = 0
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 200 && wanted.every((c, k) => Math.abs(c - data[i + k]) < 40)) count++
    }
    return count
  }, property)

t.test('while a device fetches, its row and its page say how much it has', { skip }, async (t) => {
  const data = t.testdir()
  const { variants } = await furnish(data)
  const service = await serve(t, data)
  const visitor = await (await register(t, service, 'pi-4'))()
  const candidate = { model: 'digits', version: 2, variant: variants[0].digest }
  const has = (doneBytes: number) =>
    visitor.says({}, { state: 'fetching', candidate, progress: { doneBytes, totalBytes: 8e6 } })
  await has(2e6)
  const fleet = await open(t, service.url)
  const device = await open(t, service.url, '/#/devices/pi-4')
  const bars = [fleet, device].map((page) =>
    page.getByRole('progressbar', { name: 'pi-4 fetches digits-8MB' }),
  )
  for (const bar of bars) t.equal(await bar.getAttribute('aria-valuenow'), '25')
  await has(6.1e6)
  for (const page of [fleet, device]) await page.getByText('76 % of 8.00 MB').waitFor()
  for (const bar of bars) t.equal(await bar.getAttribute('aria-valuenow'), '76')
  await visitor.says({}, { active: candidate, progress: null })
  for (const bar of bars) await bar.waitFor({ state: 'detached' })
})

t.test('a page that lost the service says so, and is right again when it is back', { skip }, async (t) => {
  const data = t.testdir()
  const first = await serve(t, data)
  const page = await open(t, first.url)
  await first.close()
  await page.getByText('reconnecting', { exact: true }).waitFor()
  const second = await serve(t, data, Number(new URL(first.url).port))
  await register(t, second, 'latecomer')
  await page.getByText('live', { exact: true }).waitFor()
  await rowOf(page, 'latecomer').waitFor()
  t.pass('what happened meanwhile is there')
})

t.test(
  'what is refused for good is said once, and what cannot be now is asked for again',
  { skip },
  async (t) => {
    const service = await serve(t, t.testdir())
    await register(t, service, 'pi-4')
    const refused = await open(t, service.url)
    const answers: number[] = []
    refused.on('response', (response) => {
      if (response.url().includes('/compilations/')) answers.push(response.status())
    })
    await refused.goto(`${service.url}/#/compilations/a b`)
    const refusal = await refused.getByRole('alert').innerText()
    t.match(refusal, /params\/id must match pattern.*REQUEST_INVALID/s)
    t.notMatch(refusal, /trying again/)

    const busy = await open(t, service.url)
    const behindProxy = '**/v1/devices/pi-4'
    await busy.route(behindProxy, (route) => route.fulfill({ status: 503 }))
    await busy.goto(`${service.url}/#/devices/pi-4`)
    const alert = busy.getByRole('alert')
    t.match(await alert.innerText(), /503 Service Unavailable.*HTTP; trying again/s)
    await busy.unroute(behindProxy)
    await busy.getByText('board not known yet').waitFor()
    t.equal(await alert.count(), 0, 'it is right again')
    t.same(answers, [400], 'the other, refused before it, has not asked again')
  },
)
