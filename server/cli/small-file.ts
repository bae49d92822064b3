import { closeSync, openSync, readSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'

/** Of a file that a command takes whole: keys, certificates, signed documents. */
export const smallFileBytes = 16 * 2 ** 20

/**
 * The bytes of a file or a pipe.
 * @param advice ends the message where it cannot be read
 * @throws FILE_NOT_FOUND; MESSAGE_TOO_LARGE above `smallFileBytes`
 */
export function readSmall(file: string, advice?: string): Buffer {
  try {
    const fd = openSync(file, 'r')
    try {
      return upTo(fd, file)
    } finally {
      closeSync(fd)
    }
  } catch (thrown) {
    if (thrown instanceof EspalierError) throw thrown
    const said = `'${file}' cannot be read: ${reason(thrown)}`
    throw new EspalierError('FILE_NOT_FOUND', advice ? `${said}; ${advice}` : said, { cause: thrown })
  }
}

function upTo(fd: number, file: string): Buffer {
  const chunks: Buffer[] = []
  for (let total = 0; ; ) {
    const chunk = Buffer.allocUnsafe(65_536)
    const length = readSync(fd, chunk)
    if (length === 0) return Buffer.concat(chunks, total)
    total += length
    if (total > smallFileBytes)
      throw new EspalierError('MESSAGE_TOO_LARGE', `'${file}' has more than ${smallFileBytes} bytes`)
    chunks.push(chunk.subarray(0, length))
  }
}

const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not',
}

function reason(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  return words[code] ?? (code || String(thrown))
}
