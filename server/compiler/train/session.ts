import { asEspalierError, EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import type { Graph } from '../graph/index.js'
import { writeModel } from '../onnx/index.js'

const options: ort.InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  enableMemPattern: false,
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
}

/** @throws MODEL_UNSUPPORTED, with what the runtime said. */
export async function openSession(
  graph: Graph,
  graphOptimizationLevel: 'all' | 'disabled' = 'all',
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(writeModel(graph), { ...options, graphOptimizationLevel })
  } catch (cause) {
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the runtime cannot load the network: ${asEspalierError(cause).message}`,
      { cause },
    )
  }
}
