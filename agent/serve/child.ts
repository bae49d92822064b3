/**
 * Run as a child: `child.js FOLDER SOCKET SETUP` serves the variant in FOLDER, run as SETUP (JSON) tells, on a Unix
 * socket, says `{"ready":true}` or
 * `{"error":{code,message}}` to its parent, and ends with it. The agent itself never loads the runtime.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { sessionOptions } from '@espalier/shared/measure/child.js'
import type { Setup } from '@espalier/shared/measure/index.js'
import { inputsOf } from '@espalier/shared/measure/inputs.js'
import * as ort from 'onnxruntime-node'
import type { Manifest } from '../store/artifacts.js'
import type { Served } from './inference.js'
import { answer } from './routes.js'

process.on('disconnect', () => process.exit(0))

async function serve(folder: string, socket: string, setup: Setup): Promise<void> {
  const manifest: Manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
  const session = await ort.InferenceSession.create(join(folder, 'model.onnx'), sessionOptions(setup))
  await warmUp(session)
  const { model: name, version, variant, digest, preprocess } = manifest
  const served: Served = { session, Tensor: ort.Tensor, name, version: String(version) }
  const extra = { variant, digest, ...(preprocess && { preprocess }) }
  const server = createServer((request, response) => void answer(served, extra, request, response))
  // The parent alone connects, and keeps its connections: none may end under a request that is on its way.
  server.keepAliveTimeout = 0
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve))
}

/** One query, so that the first caller does not wait for memory. A network whose sizes only callers know waits for them. */
async function warmUp(session: ort.InferenceSession): Promise<void> {
  try {
    const feeds = inputsOf(session.inputMetadata).map(
      ({ name, type, dims, data }) =>
        [name, new ort.Tensor(type as 'float32', data as Float32Array, dims)] as const,
    )
    const results = await session.run(Object.fromEntries(feeds))
    for (const result of Object.values(results)) result.dispose()
  } catch (e) {
    if (!(e instanceof EspalierError)) throw e
  }
}

try {
  const [, , folder, socket, setup] = process.argv
  await serve(folder, socket, JSON.parse(setup))
  process.send?.({ ready: true })
} catch (e) {
  const { code, message } = asEspalierError(e)
  process.send?.({ error: { code, message } }, () => process.exit(1))
}
