/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import { launch } from './browser.js'

export const wide = { width: 1280, height: 800 }
export const phone = { width: 390, height: 844 }

type Open = (t: Test, url: string, path?: string, options?: BrowserContextOptions) => Promise<Page>

/**
 * One browser for the tests of a file, from the first page on. @returns what opens a page of its own at `path`; a request
 * to others than the service, or a script that fails, fails the test
 */
export function opener(file: Test): Open {
  let browser: Promise<Browser> | undefined
  file.teardown(async () => (await browser)?.close())
  return async (t, url, path = '/', options = {}) => {
    browser ??= launch()
    const context = await (await browser).newContext({ viewport: wide, ...options })
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
}

export const rowOf = (page: Page, device: string) => page.locator(`tr[data-device="${device}"]`)
export const heading = (page: Page) => page.getByRole('heading', { level: 1 })

/** Resolves once nothing reaches beyond the screen: charts are drawn anew a moment after the page has changed its width. */
export const fits = (page: Page) =>
  page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, undefined, { timeout: 5000 })

/** What axe finds that is serious or critical, and the first element that it holds of. */
export async function serious(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0].html} (${nodes[0].failureSummary})`)
}
