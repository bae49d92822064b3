import type { ErrorCode } from '@espalier/shared'
import type { Tensor } from '../graph/index.js'
import type { Samples, TrainHistory, TrainOptions, TrainProgress } from './options.js'

/** What the parent sends a training process: one job, and later perhaps that it should stop. */
export type Request =
  | {
      readonly job: {
        /** ONNX files. */
        readonly model: Uint8Array
        readonly teacher?: Uint8Array
        readonly data: Samples
        readonly options: Omit<TrainOptions, 'teacher'> & {
          teacher?: { temperature?: number; share?: number }
        }
      }
    }
  | { readonly stop: true }

/** What it answers: progress, then one result or one error. */
export type Reply =
  | { readonly progress: TrainProgress }
  | {
      readonly result: {
        readonly constants: ReadonlyMap<string, Pick<Tensor, 'dims' | 'data'>>
        readonly history: TrainHistory
      }
    }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } }
