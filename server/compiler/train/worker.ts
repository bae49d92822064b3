import { asEspalierError, EspalierError } from '@espalier/shared'
import { identityOf } from '../data/index.js'
import { readModel } from '../onnx/index.js'
import { loadCheckpoint, removeCheckpoint, runKey, saveCheckpoint } from './checkpoint.js'
import { type TrainState, trainHere } from './loop.js'
import type { Reply, Request } from './protocol.js'

/** The training process: started by `train`, it works on one job and ends with its parent. */
const CHECKPOINT_SECONDS = 30

const send = (reply: Reply) =>
  new Promise<void>((resolve, reject) =>
    process.send?.(reply, (e: Error | null) => (e ? reject(e) : resolve())),
  )

let stopped = false

async function work({ job }: Extract<Request, { job: object }>): Promise<void> {
  const { model, teacher, data, options } = job
  const { checkpoint, keepCheckpoint, checkpointSeconds = CHECKPOINT_SECONDS, ...rest } = options
  const { stopping } = options
  const key = runKey(
    model,
    teacher ?? '',
    JSON.stringify({ ...rest, stopping: stopping?.patience }),
    ...[data, stopping?.data].flatMap((d) => (d ? [...identityOf(d)] : [])),
  )
  let saved = performance.now()
  const { constants, history, state } = await trainHere(
    readModel(model),
    data,
    { ...options, teacher: teacher && { ...options.teacher, graph: readModel(teacher) } },
    {
      on: (progress) => void send({ progress }),
      resume: checkpoint ? loadCheckpoint(checkpoint, key) : undefined,
      between(state: () => TrainState) {
        const due = performance.now() - saved > 1000 * checkpointSeconds
        if (checkpoint && (due || stopped)) {
          const now = state()
          // What is no number is no state to go on from: the checkpoint before stays.
          if (finite(now)) saveCheckpoint(checkpoint, key, now)
          saved = performance.now()
        }
        if (stopped) throw new EspalierError('INTERRUPTED', interrupted(checkpoint))
      },
    },
  )
  if (checkpoint && keepCheckpoint) saveCheckpoint(checkpoint, key, state())
  else if (checkpoint) removeCheckpoint(checkpoint)
  await send({ result: { constants, history } })
}

const finite = ({ weights }: TrainState) =>
  [...weights.values()].every((values) => values.every(Number.isFinite))

const interrupted = (checkpoint?: string) =>
  checkpoint
    ? `training was interrupted; the same call goes on from '${checkpoint}'`
    : 'training was interrupted; nothing was written'

// Ctrl-C reaches the whole process group; the parent says what is to be done.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(1))
process.on('message', (request: Request) => {
  if ('stop' in request) {
    stopped = true
    return
  }
  work(request)
    .catch((thrown) => {
      const { code, message } = asEspalierError(thrown)
      return send({ error: { code, message } })
    })
    .then(() => process.disconnect())
})
