/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { builtDashboard } from '@espalier/server/http/app.js'
import t from 'tap'
import { noBrowser } from '../support/browser.js'
import { heading, opener } from '../support/dashboard.js'
import { furnish, serve } from '../support/house.js'
import { call, listen } from '../support/service.js'
import { tinyData, tinyOnnx } from '../support/tiny.js'

const open = opener(t)
const skip = noBrowser

t.test(
  'a finished compilation says which limit bound, and what each further MB buys',
  { skip },
  async (t) => {
    const data = t.testdir()
    const { done } = await furnish(data)
    const service = await serve(t, data)
    const page = await open(t, service.url, `/#/compilations/${done}`)
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
