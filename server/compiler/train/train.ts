import { fork } from 'node:child_process'
import { EspalierError } from '@espalier/shared'
import type { Dataset } from '../data/index.js'
import { type Graph, type Tensor, tensor } from '../graph/index.js'
import { writeModel } from '../onnx/index.js'
import type { Samples, TrainOptions, TrainProgress, TrainResult } from './options.js'
import { withConstants } from './parameters.js'
import type { Reply, Request } from './protocol.js'

const script = new URL('./worker.js', import.meta.url)
/** How long a training process may take to end by itself once it is told to stop. */
const GRACE_MS = 10_000

/**
 * How a training process asks glibc for memory: in pages of 2 MB where the system gives them on demand, so that passes over
 * whole batches wait less for addresses: 4 % less time a step for a MobileNetV2, 7 % for ResNet-20. Other C libraries and systems ignore it.
 */
export const hugePages = ({ GLIBC_TUNABLES: others }: NodeJS.ProcessEnv = process.env) => ({
  GLIBC_TUNABLES: ['glibc.malloc.hugetlb=1', ...(others ? [others] : [])].join(':'),
})

/**
 * Trains a classifier in a process of its own, so that the caller stays responsive. Reverse-mode differentiation of
 * the ONNX graph is run by onnxruntime; see `trainingGraph`.
 * @param on called about twice a second and after the last step
 * @param signal ends the run early: the promise rejects with INTERRUPTED, and a checkpoint (if asked for) is written
 * @throws GRADIENT_UNKNOWN, MODEL_INVALID, MODEL_UNSUPPORTED, MODEL_UNRUNNABLE, DATA_SHAPE_MISMATCH,
 *   DATA_LABELS_INVALID, DATA_UNLABELLED, OPTION_INVALID, TRAINING_DIVERGED, WORKER_CRASHED, WRITE_FAILED, INTERRUPTED
 */
export async function train(
  graph: Graph,
  data: Samples,
  options: TrainOptions = {},
  on: (progress: TrainProgress) => void = () => {},
  signal?: AbortSignal,
): Promise<TrainResult> {
  if (signal?.aborted) throw new EspalierError('INTERRUPTED', 'training was interrupted before it began')
  const { teacher, ...rest } = options
  const { stopping } = rest
  const job: Request = {
    job: {
      model: writeModel(graph),
      teacher: teacher && writeModel(teacher.graph),
      data: plain(data),
      options: {
        ...rest,
        stopping: stopping && { ...stopping, data: plain(stopping.data) },
        teacher: teacher && { temperature: teacher.temperature, share: teacher.share },
      },
    },
  }
  const child = fork(script, {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, ...hugePages() },
  })
  let complaint = ''
  child.stderr?.on('data', (text) => {
    complaint = `${complaint}${text}`.slice(-2000)
  })
  let killer: NodeJS.Timeout | undefined
  const stop = () => {
    const request: Request = { stop: true }
    child.send(request, () => {})
    killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
  }
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await new Promise<TrainResult>((resolve, reject) => {
      child.on('message', (reply: Reply) => {
        if ('progress' in reply) on(reply.progress)
        else if ('error' in reply) reject(new EspalierError(reply.error.code, reply.error.message))
        else {
          const { constants, history } = reply.result
          const changed = new Map<string, Tensor>()
          for (const [name, { dims, data }] of constants) changed.set(name, tensor('float32', dims, data))
          resolve({ graph: withConstants(graph, changed), history })
        }
      })
      child.on('error', reject)
      child.on('exit', (code, cause) => {
        const why = complaint.trim().split('\n').at(-1) || `${cause ?? `status ${code}`}`
        reject(
          signal?.aborted
            ? new EspalierError('INTERRUPTED', 'training was interrupted')
            : new EspalierError('WORKER_CRASHED', `the training process ended by itself: ${why}`),
        )
      })
      child.send(job, (e) => e && reject(e))
    })
  } finally {
    clearTimeout(killer)
    signal?.removeEventListener('abort', stop)
    if (child.exitCode === null && !child.connected) child.kill('SIGKILL')
  }
}

/** What training needs of data, and nothing that cannot be sent to a process. */
const plain = ({ spec: _, classNames: __, files: ___, ...samples }: Samples & Partial<Dataset>): Samples =>
  samples
