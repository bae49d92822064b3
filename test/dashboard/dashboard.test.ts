/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { Drawings } from '@espalier/server/catalog/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { builtDashboard } from '@espalier/server/http/app.js'
import type { Report, Variant } from '@espalier/server/http/schemas/index.js'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launch, noBrowser } from '../support/browser.js'
import { figuresOf, furnish, register, serve, type Visitor } from '../support/house.js'
import { convNetwork } from '../support/networks.js'
import { call, listen } from '../support/service.js'
import { tinyData, tinyOnnx } from '../support/tiny.js'

let browser: Browser
/** A service with a model, its variants, and two devices that have reported; for tests that only read. */
let house: Awaited<ReturnType<typeof furnished>>
t.before(async () => {
  if (noBrowser) return
  browser = await launch()
  house = await furnished(t)
})
t.teardown(() => browser?.close())

const wide = { width: 1280, height: 800 }
const phone = { width: 390, height: 844 }
const skip = noBrowser

/** A page of its own at `path`; a request to others than the service, or a script that fails, fails the test. */
async function open(t: Test, url: string, path = '/', options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: wide, ...options })
  const page = await context.newPage()
  const foreign: string[] = []
  const broken: string[] = []
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) foreign.push(request.url())
  })
  page.on('pageerror', (error) => broken.push(error.message))
  t.teardown(async () => {
    await context.close()
    if (foreign.length + broken.length > 0) {
      throw new Error(`left the origin: ${foreign.join(', ')}; failed: ${broken.join(', ')}`)
    }
  })
  await page.goto(url + path)
  await page.getByText('live', { exact: true }).waitFor()
  return page
}

const rowOf = (page: Page, device: string) => page.locator(`tr[data-device="${device}"]`)
const heading = (page: Page) => page.getByRole('heading', { level: 1 })

async function furnished(t: Test) {
  const data = t.testdir()
  const { variants, done, failed } = await furnish(data)
  const service = await serve(t, data)
  const [large, medium, withdrawn] = variants
  const held = ({ digest }: Variant) => ({ model: 'digits', version: 2, variant: digest })
  const visitors: Visitor[] = []
  for (const [id, variant, memoryBudgetBytes] of [
    ['gate-1', large, 9e6],
    ['gate-2', medium, 4e6],
  ] as const) {
    const visitor = await (await register(t, service, id))()
    await visitor.says({ memoryBudgetBytes }, { active: held(variant), previous: held(withdrawn) })
    const slower = id === 'gate-1' ? 3 : 4.4
    await visitor.reports(
      ...[0, 1, 2, 3].map((n) => ({
        variant: variant.digest,
        at: Date.now() - 60_000 * (4 - n),
        p50Ms: variant.p50Ms! * slower + n / 100,
        p95Ms: variant.p50Ms! * slower * 1.2,
        throttled: n === 2,
      })),
      {
        variant: withdrawn.digest,
        at: Date.now() - 400_000,
        p50Ms: withdrawn.p50Ms! * slower,
        top1: withdrawn.top1,
      },
    )
    visitors.push(visitor)
  }
  const pages = {
    fleet: '/',
    device: '/#/devices/gate-1',
    model: '/#/models/digits',
    compilation: `/#/compilations/${done}`,
    'failed compilation': `/#/compilations/${failed}`,
    'lost page': '/#/nowhere',
  }
  return { service, variants, visitors, done, failed, pages }
}

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

t.test("the plot's points are the API's values, and lie where the axes say", { skip }, async (t) => {
  const { service, variants } = house
  const page = await open(t, service.url, '/#/models/digits')
  const answer = await fetch(`${service.url}/v1/reports?model=digits&version=2&latest=true`)
  const { items } = (await answer.json()) as { items: Report[] }
  t.equal(items.length, 4, 'the latest of two variants on two devices')
  const expected = [
    { ms: 2.1, top1: 0.9934, bytes: 11e6 },
    ...variants.flatMap(({ p50Ms, top1, measuredRamBytes }) =>
      p50Ms === null ? [] : [{ ms: p50Ms, top1, bytes: measuredRamBytes }],
    ),
    ...items.map(({ p50Ms, variant, measuredRamBytes, top1 }) => ({
      ms: p50Ms,
      top1: top1 ?? variants.find(({ digest }) => digest === variant)?.top1,
      bytes: measuredRamBytes,
    })),
  ]
  await page.waitForFunction((n) => document.querySelectorAll('.point').length === n, expected.length)
  const drawn = await page.evaluate(() => {
    const plot = document.querySelector('.plot')!.getBoundingClientRect()
    const ticks = (axis: string) =>
      [...document.querySelectorAll<SVGElement>(`[data-axis="${axis}"]`)].map(({ dataset }) => ({
        at: Number(dataset.at),
        value: Number(dataset.value),
      }))
    return {
      x: ticks('x'),
      y: ticks('y'),
      points: [...document.querySelectorAll<HTMLElement>('.point')].map((point) => {
        const box = point.getBoundingClientRect()
        const { latencyMs, top1, memoryBytes } = point.dataset
        return {
          ...{ ms: Number(latencyMs), top1: Number(top1), bytes: Number(memoryBytes) },
          x: (box.left + box.right) / 2 - plot.left,
          y: (box.top + box.bottom) / 2 - plot.top,
          r: box.width / 2,
        }
      }),
    }
  })
  const order = (a: { ms: number }, b: { ms: number }) => a.ms - b.ms
  const values = drawn.points.map(({ ms, top1, bytes }) => ({ ms, top1, bytes }))
  t.same(values.sort(order), expected.sort(order))

  const [x0, x1] = [drawn.x[0], drawn.x[drawn.x.length - 1]]
  const [y0, y1] = [drawn.y[0], drawn.y[drawn.y.length - 1]]
  for (const { ms, top1, bytes, x, y, r } of drawn.points) {
    const across = Math.log(ms / x0.value) / Math.log(x1.value / x0.value)
    const up = (top1 * 100 - y0.value) / (y1.value - y0.value)
    t.ok(Math.abs(x0.at + across * (x1.at - x0.at) - x) < 1, `${ms} ms lies at ${x}`)
    t.ok(Math.abs(y0.at + up * (y1.at - y0.at) - y) < 1, `${top1} lies at ${y}`)
    t.ok(Math.abs(r - 22 * Math.sqrt(bytes / 11e6)) < 1, `${bytes} bytes have radius ${r}`)
  }
  t.match(
    await page.locator('main').innerText(),
    /not known: digits-unmeasured/,
    'what is not drawn is named',
  )
  const table = page.locator('tbody[data-variant]')
  t.match(await table.filter({ hasText: 'digits-2MB' }).innerText(), /withdrawn/)
  t.match(await table.filter({ hasText: 'digits-8MB' }).innerText(), /gate-1\s.*4\.23/s)
})

t.test(
  'the network is drawn, dense and what pruning left, readable by keyboard and on a phone',
  { skip },
  async (t) => {
    const folder = t.testdir()
    const { url, parts, close } = await listen(folder, { dashboard: builtDashboard })
    t.teardown(close)
    const dense = convNetwork([8, 6], 4)
    await call(url, 'POST', '/v1/models', { id: 'm' })
    const { body } = await call(url, 'POST', '/v1/models/m/versions', writeModel(dense))
    const [before, after] = [join(folder, 'before.onnx'), join(folder, 'after.onnx')]
    writeFileSync(before, writeModel(dense))
    writeFileSync(after, writeModel((await prune(dense, { keep: 0.5 })).graph))
    const drawn = await new Drawings(parts.artifacts).draw({ title: 'half', before, after })
    const ports = { inputs: [], outputs: [], preprocess: null, labels: null }
    const figures = figuresOf(2, 0.97, 0.3)
    const of = { model: 'm', version: 1, compilation: null, digest: String(body.digest), figures, ports }
    parts.variants.add([
      { name: 'half', ...of, drawn },
      { name: 'unknown', ...of },
    ])
    const page = await open(t, url, '/#/models/m')
    const drawing = page.locator('.drawing img')
    const loaded = (path: RegExp) =>
      page.waitForFunction((path) => {
        const img = document.querySelector<HTMLImageElement>('.drawing img')
        return img?.complete && img.naturalWidth > 500 && new RegExp(path).test(img.src)
      }, path.source)
    await loaded(/models\/m\/versions\/1\/drawing/)
    await page.getByRole('button', { name: 'half', exact: true }).focus()
    await page.keyboard.press('Enter')
    await loaded(/variants\/.*\/drawing/)
    t.match(await drawing.getAttribute('alt'), /half/)
    for (const viewport of [wide, phone]) {
      await page.setViewportSize(viewport)
      // Charts are drawn anew a moment after the page has changed its width.
      const fits = () => document.documentElement.scrollWidth <= innerWidth
      await t.resolves(page.waitForFunction(fits, undefined, { timeout: 5000 }), `${viewport.width} px`)
      const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
      t.same(
        violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id }) => id),
        [],
      )
    }
    await page.getByRole('button', { name: 'unknown', exact: true }).click()
    await page.getByText('Not drawn: it was stored before networks were drawn').waitFor()
  },
)

t.test(
  'a finished compilation says which limit bound, and what each further MB buys',
  { skip },
  async (t) => {
    const page = await open(t, house.service.url, `/#/compilations/${house.done}`)
    const table = page.locator('.wide[aria-label="What each further MB buys"]')
    await table.waitFor()
    t.same(await table.locator('tbody tr').first().locator('th, td').allTextContents(), [
      '2.00 MB',
      '0.00',
      '0.00',
      '0.00',
      '–',
    ])
    t.equal(await table.locator('tbody tr').nth(1).locator('td').last().textContent(), '17.78')
    const lines = page.locator('polyline.frontier')
    t.equal(await lines.count(), 2)
    const corners =
      (await lines.first().getAttribute('points'))?.split(' ').map((p) => p.split(',').map(Number)) ?? []
    t.equal(corners.length, 5)
    for (const [i, [x, y]] of corners.entries())
      if (i > 0) t.ok(x > corners[i - 1][0] && y < corners[i - 1][1], 'more memory keeps more')
    t.ok((await page.locator('circle.frontier').count()) > 0, 'variants are where they were measured')
    t.match(await page.locator('.wide[aria-label="Variants made"] thead').textContent(), /Bound by/)
  },
)

t.test(
  'variants are asked for with limits and a recipe, and what is wrong is said there',
  { skip },
  async (t) => {
    const { folder, spec } = tinyData(t)
    const worker = new URL('../support/workers/training.mjs', import.meta.url)
    const { url, close } = await listen(folder, { worker, dashboard: builtDashboard })
    t.teardown(close)
    await call(url, 'POST', '/v1/models', { id: 'm' })
    await call(url, 'POST', '/v1/models/m/versions', tinyOnnx)
    const bare = await open(t, url, '/#/models/m')
    await bare.getByText('npx espalier datasets create').waitFor()
    await call(url, 'POST', '/v1/datasets', { id: 'd', spec })

    const page = await open(t, url, '/#/models/m')
    const form = page.locator('form.compile')
    await form.waitFor()
    const send = () => form.getByRole('button', { name: 'Compile' }).click()
    const recipe = form.getByRole('textbox', { name: 'The recipe' })
    const choose = (name: string) => form.getByRole('combobox', { name: 'Recipe' }).selectOption(name)
    const says = (text: string | RegExp) => form.getByRole('alert').getByText(text).waitFor()

    await form.getByLabel('Memory').fill('4 apples')
    await send()
    await says(/Memory: .*4 apples/)
    await form.getByLabel('Memory').fill('4kB, 5kB')
    await form.getByLabel('MACs kept').fill('150')
    await send()
    await says("MACs kept, %: '150' is more than 100 %")
    await form.getByLabel('MACs kept').fill('50 %')
    await choose('gradual')
    t.match(JSON.parse(await recipe.inputValue()), { schedule: 'gradual' })
    await recipe.fill('{"schedule": "gradual", "rounds": 0}')
    await send()
    await says('RECIPE_INVALID')
    t.same((await call(url, 'GET', '/v1/compilations')).body.items, [], 'nothing was queued')

    await recipe.fill('{"schedule": "gradual", "rounds": 3}')
    await send()
    await says(/aims at shares of MACs or parameters/)
    await form.getByLabel('Memory').fill('')
    await send()
    await page.locator('.stages').waitFor()
    t.match(await heading(page).innerText(), 'm v1')
    t.match((await call(url, 'GET', '/v1/compilations')).body.items, [
      {
        model: 'm',
        version: 1,
        request: {
          macs: [0.5],
          data: 'd',
          recipe: { schedule: 'gradual', rounds: 3 },
        },
      },
    ])
  },
)

t.test('a compilation is followed stage by stage, and stopped', { skip }, async (t) => {
  const { folder, spec } = tinyData(t)
  const worker = new URL('../support/workers/training.mjs', import.meta.url)
  const { url, close } = await listen(folder, { worker, dashboard: builtDashboard })
  t.teardown(close)
  const fleet = await open(t, url)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  await call(url, 'POST', '/v1/models/m/versions', tinyOnnx)
  await call(url, 'POST', '/v1/datasets', { id: 'd', spec })
  const { body } = await call(url, 'POST', '/v1/compilations', { model: 'm', data: 'd', memoryBytes: [4000] })
  const bar = fleet.getByRole('progressbar', { name: 'm version 1: train' })
  await bar.waitFor()

  const page = await open(t, url, `/#/compilations/${body.id}`)
  await page.locator('.stages li').nth(2).waitFor()
  t.match(
    await page.locator('.stages').innerText(),
    /read\s.*reading model and data.*prune\s+one.*train\s+one/s,
  )
  await page.locator('.training .loss').waitFor()
  const lossNow = async () =>
    Number((await page.locator('.training').innerText()).match(/loss ([\d.]+)/)?.[1])
  const before = await lossNow()
  t.ok(before > 0 && before < 2, `a loss that was told: ${before}`)
  await page.waitForFunction(
    (before) => !document.querySelector('.training')?.textContent?.includes(`loss ${before.toFixed(4)}`),
    before,
  )
  t.ok((await lossNow()) < before, 'it falls as the page is watched')

  await page.getByRole('button', { name: 'Stop …' }).click()
  await page.getByRole('button', { name: 'Stop it' }).click()
  await page.locator('.lede').getByText('cancelled').waitFor()
  await fleet.locator('.ended').getByText('cancelled').waitFor()
  t.equal(await bar.count(), 0, 'it runs no longer')
})

t.test('the plot is read with the keyboard', { skip }, async (t) => {
  const { service } = house
  const page = await open(t, service.url, '/#/models/digits')
  await page.waitForFunction(() => document.querySelectorAll('.point').length === 8)
  t.equal(await page.locator('.point[tabindex="0"]').count(), 1, 'one Tab reaches the plot')
  await page.locator('.point[tabindex="0"]').focus()
  t.match(await page.locator('.values').innerText(), /digits-2MB.*where it was compiled.*0\.31 ms/s)
  await page.keyboard.press('ArrowRight')
  t.match(await page.locator('.values').innerText(), /digits-4MB.*0\.62 ms/s)
  await page.keyboard.press('End')
  t.match(await page.locator('.values').innerText(), /digits-8MB.*on gate-1/s)
  await page.keyboard.press('Escape')
  t.equal(await page.locator('.values').count(), 0)
})

t.test('every page has an address of its own', { skip }, async (t) => {
  const { service, done, failed } = house
  const addresses: readonly (readonly [string, string, RegExp])[] = [
    ['/#/devices/gate-2', 'gate-2', /digits-4MB/],
    ['/#/models/digits/versions/1', 'digits', /No variant has been compiled yet/],
    ['/#/models/digits/versions/7', 'digits', /no version 7/],
    [`/#/compilations/${done}`, 'digits v2', /largest of 5 processes/],
    [`/#/compilations/${failed}`, 'digits v2', /below 3 MB; raise it/],
    ['/#/devices/nobody', 'nobody', /there is no device 'nobody'/],
    ['/#/%', 'No such page', /nothing at %/],
  ]
  for (const [address, title, content] of addresses) {
    const page = await open(t, service.url, address)
    await page.getByText(content).first().waitFor()
    t.equal(await heading(page).innerText(), title, address)
  }
  const page = await open(t, service.url)
  await page.getByRole('link', { name: 'gate-1' }).click()
  await page.getByRole('heading', { name: 'Latency over time' }).waitFor()
  t.match(page.url(), /#\/devices\/gate-1$/)
  await page.goBack()
  await rowOf(page, 'gate-1').waitFor()
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

t.test('the keyboard alone reaches a device from the fleet', { skip }, async (t) => {
  const { service } = house
  const page = await open(t, service.url)
  await rowOf(page, 'gate-2').waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.textContent)
  for (let presses = 0; presses < 40 && (await focused()) !== 'gate-2'; presses++)
    await page.keyboard.press('Tab')
  t.equal(await focused(), 'gate-2')
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
  t.equal(outline, 'solid', 'the focus is seen')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Latency over time' }).waitFor()
  t.equal(await focused(), 'gate-2', 'the focus is on the heading of the new page')
})

t.test('axe finds nothing serious, and no page is wider than its screen', { skip }, async (t) => {
  const { service, pages } = house
  for (const [name, path] of Object.entries(pages)) {
    const page = await open(t, service.url, path, { reducedMotion: 'reduce' })
    await page.waitForFunction(() => !document.querySelector('p.waiting'))
    for (const viewport of [wide, phone]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport)
        await page.emulateMedia({ colorScheme })
        const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        const found = serious.map(({ id, nodes }) => `${id}: ${nodes[0].html} (${nodes[0].failureSummary})`)
        t.same(found, [], `${name}, ${colorScheme}, ${viewport.width} px`)
      }
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      t.ok(beyond <= 0, `${name} at ${viewport.width} px is ${beyond} px wider`)
    }
  }
})
