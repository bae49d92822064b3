import { readFileSync } from 'node:fs'

/**
 * The file of the outbox, line by line:
 *
 *     {"dropped":3}                     reports that were given up; padded, and overwritten where it stands
 *     +0mbq1c9xk-5f0e8c {"id":…}        a report waits
 *     -0mbq1c9xk-5f0e8c                 it waits no more
 *
 * A power cut may tear the last line; it was not flushed, so nobody was told of it.
 */
export interface ReportLog {
  /** What waits, oldest first, and where its line lies. */
  readonly waiting: readonly { readonly id: string; readonly at: number; readonly bytes: number }[]
  readonly dropped: number
  /** Where the last whole line ends. */
  readonly wholeBytes: number
  /** What a torn last line is of. */
  readonly torn: 'report' | 'other' | null
}

export const countLineBytes = 40

/** The first line of the file. */
export const countLine = (dropped: number): Buffer =>
  Buffer.from(`${JSON.stringify({ dropped }).padEnd(countLineBytes - 1)}\n`)

const [newline, plus, minus] = ['\n', '+', '-'].map((c) => c.charCodeAt(0))

/** Reads the file; lines that are none are passed over. @throws a system error */
export function readReportLog(path: string): ReportLog {
  const bytes = readFileSync(path)
  const waiting = new Map<string, { at: number; bytes: number }>()
  let at = countLineBytes
  for (;;) {
    const end = bytes.indexOf(newline, at)
    if (end < 0) break
    const space = bytes.indexOf(' ', at)
    if (bytes[at] === plus && space > 0 && space < end)
      waiting.set(bytes.toString('latin1', at + 1, space), { at, bytes: end + 1 - at })
    if (bytes[at] === minus) waiting.delete(bytes.toString('latin1', at + 1, end))
    at = end + 1
  }
  return {
    waiting: [...waiting].map(([id, place]) => ({ id, ...place })),
    dropped: countIn(bytes),
    wholeBytes: at,
    torn: at >= bytes.length ? null : bytes[at] === plus ? 'report' : 'other',
  }
}

function countIn(bytes: Buffer): number {
  try {
    return Number(JSON.parse(bytes.toString('latin1', 0, countLineBytes)).dropped) || 0
  } catch (e) {
    if (e instanceof SyntaxError) return 0
    throw e
  }
}
