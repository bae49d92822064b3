import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** A line may have this much. */
export const MAX_LINE_BYTES = 16 * 2 ** 20

/** Hands on each line of a stream of text, without its end; `onTooLong` in place of one that is too long, and nothing after it. */
export function lines(stream: Readable, onLine: (line: string) => void, onTooLong: () => void): void {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    const [first, ...rest] = decoder.write(chunk).split('\n')
    parts.push(first)
    length += first.length
    for (const next of rest) {
      onLine(parts.join(''))
      parts = [next]
      length = next.length
    }
    if (length <= MAX_LINE_BYTES) return
    stream.destroy()
    onTooLong()
  })
}
