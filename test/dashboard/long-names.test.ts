/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { noBrowser } from '../support/browser.js'
import { fits, opener } from '../support/dashboard.js'
import { furnish, register, serve } from '../support/house.js'

const open = opener(t)
const unbroken = 'd'.repeat(63)

/** A service whose one device has long names that nothing breaks, is in trouble, and is slower than any. */
async function crowded(t: Test) {
  const data = t.testdir()
  const { variants } = await furnish(data)
  const service = await serve(t, data)
  const active = { model: 'digits', version: 2, variant: variants[0].digest }
  const error = { code: 'ACCURACY_UNDER_FLOOR', message: 'x'.repeat(500) }
  const labels = { site: 'l'.repeat(200) }
  const visitor = await (await register(t, service, unbroken))()
  await visitor.says({ board: 'b'.repeat(200), labels }, { active, error })
  await visitor.reports({ variant: active.variant, p50Ms: 1_234_567.8 })
  return service
}

/** Whether one of the boxes of `selector` reaches into another. */
const overlap = (page: Page, selector: string) =>
  page.evaluate((selector) => {
    const boxes = [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect())
    return boxes.some((a, i) =>
      boxes
        .slice(i + 1)
        .some((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom),
    )
  }, selector)

t.test('names that nothing breaks widen no page and cover nothing', { skip: noBrowser }, async (t) => {
  const service = await crowded(t)
  const pages = {
    fleet: ['/', '.device a, .device small, .state .mark'],
    device: [`/#/devices/${unbroken}`, '.lede span'],
    model: ['/#/models/digits', '[data-axis="x"] text, .legend, .chart ~ .note'],
  } as const
  for (const width of [390, 1280]) {
    for (const [name, [path, selector]] of Object.entries(pages)) {
      const page = await open(t, service.url, path, { viewport: { width, height: 844 } })
      await page.locator(selector.split(',')[0]).first().waitFor({ state: 'attached' })
      await page.waitForFunction(() => !document.querySelector('p.waiting'))
      await t.resolves(fits(page), `${name}, ${width} px`)
      t.notOk(await overlap(page, selector), `${name}, ${width} px: nothing is covered`)
    }
  }
})
