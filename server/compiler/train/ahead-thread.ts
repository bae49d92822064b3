import { parentPort, workerData } from 'node:worker_threads'
import { asEspalierError } from '@espalier/shared'
import type { Job, Said } from './ahead.js'
import { Feeder } from './feeder.js'

/** The thread of `batchesAhead`: makes batches until as many wait as may, and another for each that is taken. */
const { data, options, plan, first, last, depth }: Job = workerData
const say = (said: Said, give: ArrayBuffer[] = []) => parentPort?.postMessage(said, give)

let room = depth
let wake = () => {}
parentPort?.on('message', () => {
  room++
  wake()
})

try {
  const feeder = new Feeder(data, options, plan)
  for (let step = first; step < last; step++, room--) {
    while (room === 0)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    const { indices, mirrored } = await feeder.write(step)
    const fed = new Map([...feeder.fed].map(([name, f]) => [name, { ...f, data: f.data.slice() }]))
    say(
      { indices: indices.slice(), mirrored: mirrored.slice(), fed },
      [...fed.values()].map((f) => f.data.buffer as ArrayBuffer),
    )
  }
} catch (thrown) {
  const { code, message } = asEspalierError(thrown)
  say({ error: { code, message } })
} finally {
  parentPort?.close()
}
