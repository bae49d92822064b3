import { mkdirSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'

/** Makes a service's data folder, for its owner only, where it is not there yet. @throws CONFIG_INVALID */
export function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new EspalierError(
      'CONFIG_INVALID',
      `the data folder cannot be made (${why}); name another with --data`,
      { cause },
    )
  }
}
