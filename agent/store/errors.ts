import { EspalierError } from '@espalier/shared'
import { errnoOf } from './files.js'

/** A system error of the disk as one with a stable code; anything else as it is. */
export function diskError(thrown: unknown, folder: string): unknown {
  const code = errnoOf(thrown)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new EspalierError(
      'DISK_FULL',
      `the disk under ${folder} is full; free some space and the agent goes on`,
      {
        cause: thrown,
      },
    )
  }
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') {
    return new EspalierError(
      'WRITE_FAILED',
      `${folder} cannot be written (${code}); give the agent's user write access`,
      {
        cause: thrown,
      },
    )
  }
  return thrown
}
