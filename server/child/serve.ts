import { asEspalierError } from '@espalier/shared/errors.js'
import type { FromChild, ToChild } from './messages.js'

/**
 * The child's side of `runChild`: does `work` once with the input that the parent sends, and tells it what came of it.
 * Without its parent the process ends, and with it every process it started.
 */
export function serve<Input, News, Result>(
  work: (input: Input, tell: (news: News) => void, signal: AbortSignal) => Promise<Result>,
): void {
  const cancelled = new AbortController()
  const send = (message: FromChild) =>
    new Promise<void>((resolve) => process.send?.(message, undefined, undefined, () => resolve()))
  const answer = async (input: Input): Promise<FromChild> => {
    try {
      const result = await work(input, (news) => void send({ type: 'news', news }), cancelled.signal)
      return { type: 'result', result }
    } catch (thrown) {
      const { code, message } = asEspalierError(thrown)
      if (code === 'INTERNAL') process.stderr.write(`${thrown instanceof Error ? thrown.stack : thrown}\n`)
      return { type: 'error', code, message }
    }
  }
  process.on('message', async (message: ToChild) => {
    if (message.type === 'cancel') return cancelled.abort()
    await send(await answer(message.input as Input))
    process.exit(0)
  })
  process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))
}
