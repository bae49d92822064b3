import { readFileSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import type { Logger } from '../broker/index.js'
import { chainIn, keyFiles, newestRoot, rootLifetimeMs } from './keys.js'
import { renew } from './rotation.js'

/** How long before a root expires its renewal is asked for, where the root key is kept elsewhere. */
const warningMs = 60 * 24 * 3600 * 1000

/**
 * What devices may know of keys, the message `keys`. A root that is past half its life is renewed while the root key is
 * in the folder; where it is not, the log says well before what to do. To be asked daily.
 * @throws KEY_INVALID, DISK_FULL
 */
export function freshRoots(folder: string, log: Logger, now: number): Buffer {
  const { roots } = keyFiles(folder)
  const { expiresAt } = newestRoot(chainIn(roots))
  if ((expiresAt ?? 0) - now < rootLifetimeMs / 2 && !isRenewed(folder, now) && expiresAt !== undefined) {
    const until = new Date(expiresAt).toISOString()
    const todo = 'renew it with the root key: espalier keys renew --root-key FILE'
    if (expiresAt <= now)
      log.error({ expiresAt }, `the root expired ${until}: devices believe nothing new; ${todo}`)
    else if (expiresAt - now < warningMs)
      log.warn(
        { expiresAt },
        `the root expires ${until}, and devices believe nothing new from then on; ${todo}`,
      )
  }
  return readFileSync(roots)
}

/** Whether the root key was at hand to renew the root. */
function isRenewed(folder: string, now: number): boolean {
  try {
    renew(folder, { now })
    return true
  } catch (thrown) {
    if (thrown instanceof EspalierError && thrown.code === 'KEY_INVALID') return false
    throw thrown
  }
}
