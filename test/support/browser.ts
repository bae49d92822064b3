import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Why a test that needs a browser cannot run here, or false when it can. */
export const noBrowser = existsSync(executablePath)
  ? false
  : `${executablePath} is not there; on Debian: apt-get install chromium`

/** Chromium, without anything that would ask the internet by itself. */
export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
