// Imported by an agent: what its measuring processes load takes 0.8 of its file more, as it might on another board.
import { statSync } from 'node:fs'

const held = []
if (process.send)
  process.prependListener('message', (request) => {
    if (request?.do === 'load') held.push(Buffer.alloc(0.8 * statSync(request.path).size, 1))
  })
else process.env.NODE_OPTIONS = `--import=${import.meta.url}`
