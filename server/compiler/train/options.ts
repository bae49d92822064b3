import type { Dataset } from '../data/index.js'
import type { Graph } from '../graph/index.js'

/** What a network is trained on, whole in memory; `labels` may be absent for distillation alone. */
export type Samples = Omit<Dataset, 'spec' | 'classNames'>

export interface TrainOptions {
  /** Passes over the data; 1 by default. */
  readonly epochs?: number
  /** Ends earlier than `epochs`, after so many steps. */
  readonly maxSteps?: number
  /** Samples a step; 64 by default. The last incomplete batch of an epoch is left out. */
  readonly batch?: number
  readonly optimizer?: 'adam' | 'sgd'
  /** Peak learning rate; 1e-3 for Adam and 0.01 for SGD by default. */
  readonly lr?: number
  /** SGD's momentum; 0.9 by default. */
  readonly momentum?: number
  /** Decoupled weight decay, applied to weights of two and more dimensions; 0 by default. */
  readonly weightDecay?: number
  readonly schedule?: 'constant' | 'cosine' | 'one-cycle'
  /** The share of all steps over which the learning rate rises from near 0; 0.05 by default, 0.3 for one-cycle. */
  readonly warmup?: number
  /** Largest Euclidean norm of all gradients together; 0 switches clipping off; 5 by default. */
  readonly clip?: number
  /** Softens the labels: each class gets this share divided by the number of classes; 0 by default. */
  readonly labelSmoothing?: number
  /** Distillation (Hinton et al. 2015): the teacher sees what the student sees. */
  readonly teacher?: {
    readonly graph: Graph
    /** 4 by default. */
    readonly temperature?: number
    /** The teacher's share of the loss, the labels have the rest; 0.7 by default, 1 without labels. */
    readonly share?: number
  }
  /** `batch`: statistics of each batch and running averages (default); `frozen`: the file's statistics. */
  readonly batchNorm?: 'batch' | 'frozen'
  /** Random shifts by up to so many pixels, zeros moving in; 0 by default. Samples [channels, height, width] only. */
  readonly shift?: number
  /** Random mirroring left to right; false by default. */
  readonly flip?: boolean
  /** Same seed, same options, same data → same weights. 0 by default. */
  readonly seed?: number
  /** File that a run writes about every 30 seconds and takes up again if it fits; removed when the run ends. */
  readonly checkpoint?: string
}

export interface TrainProgress {
  readonly step: number
  readonly steps: number
  readonly epoch: number
  /** Mean over the steps since the last progress. */
  readonly loss: number
  /** Share of training samples answered rightly since the last progress; null without labels. */
  readonly accuracy: number | null
  readonly imagesPerSecond: number
  readonly secondsLeft: number
}

export interface TrainHistory {
  readonly steps: number
  /** Loss of the first step, and mean over the last tenth of the steps (at least one). */
  readonly lossFirst: number
  readonly lossLast: number
  readonly seconds: number
  readonly imagesPerSecond: number
  /** One entry an epoch. */
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number | null }[]
}

export interface TrainResult {
  /** The given graph with new weights: same nodes, names, shapes and metadata. */
  readonly graph: Graph
  readonly history: TrainHistory
}
