/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Drawings } from '@espalier/server/catalog/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { builtDashboard } from '@espalier/server/http/app.js'
import type { Report } from '@espalier/server/http/schemas/index.js'
import t from 'tap'
import { noBrowser } from '../support/browser.js'
import { fits, opener, phone, serious, wide } from '../support/dashboard.js'
import { figuresOf, visited } from '../support/house.js'
import { convNetwork } from '../support/networks.js'
import { call, listen } from '../support/service.js'

const open = opener(t)
const skip = noBrowser
/** For tests that only read. */
let house: Awaited<ReturnType<typeof visited>>
t.before(async () => {
  if (!noBrowser) house = await visited(t)
})

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
      await t.resolves(fits(page), `${viewport.width} px`)
      t.same(await serious(page), [])
    }
    await page.getByRole('button', { name: 'unknown', exact: true }).click()
    await page.getByText('Not drawn: it was stored before networks were drawn').waitFor()
  },
)
