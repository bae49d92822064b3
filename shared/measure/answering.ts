import { asEspalierError } from '../errors.js'
import { lines } from './lines.js'
import type { Answer, Asked, Reply, Request } from './protocol.js'

/**
 * Makes this process a measuring process: requests on its standard input are answered on its standard output, one after
 * the other, as protocol.ts says. It ends when its standard input does.
 */
export function answerRequests(answer: (request: Request) => Promise<Answer<Asked['do']>>): void {
  // Node.js makes each when it is first asked for: that must not count as the model's memory.
  const { stdin, stdout } = process
  const send = (reply: Reply) => stdout.write(`${JSON.stringify(reply)}\n`)
  let last = Promise.resolve()
  const take = (line: string) => {
    const request: Request = JSON.parse(line)
    last = last.then(async () => {
      try {
        send({ id: request.id, ok: await answer(request) })
      } catch (thrown) {
        const { code, message } = asEspalierError(thrown)
        send({ id: request.id, error: { code, message } })
      }
    })
  }
  stdin.on('end', () => process.exit(0))
  lines(stdin, take, () => process.exit(1))
}
