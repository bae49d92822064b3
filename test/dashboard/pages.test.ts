/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import t from 'tap'
import { noBrowser } from '../support/browser.js'
import { heading, opener, phone, rowOf, serious, wide } from '../support/dashboard.js'
import { visited } from '../support/house.js'

const open = opener(t)
const skip = noBrowser
/** For tests that only read. */
let house: Awaited<ReturnType<typeof visited>>
t.before(async () => {
  if (!noBrowser) house = await visited(t)
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
  const { service, done, failed } = house
  const pages = {
    fleet: '/',
    device: '/#/devices/gate-1',
    model: '/#/models/digits',
    compilation: `/#/compilations/${done}`,
    'failed compilation': `/#/compilations/${failed}`,
    'lost page': '/#/nowhere',
  }
  for (const [name, path] of Object.entries(pages)) {
    const page = await open(t, service.url, path, { reducedMotion: 'reduce' })
    await page.waitForFunction(() => !document.querySelector('p.waiting'))
    for (const viewport of [wide, phone]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport)
        await page.emulateMedia({ colorScheme })
        t.same(await serious(page), [], `${name}, ${colorScheme}, ${viewport.width} px`)
      }
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      t.ok(beyond <= 0, `${name} at ${viewport.width} px is ${beyond} px wider`)
    }
  }
})
