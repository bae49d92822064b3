import { EspalierError } from '@espalier/shared'
import { type Dataset, isLabelled } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import type { OptimizerName, ScheduleName } from '../names.js'
import type { SparsityPlan } from './sparse/index.js'
import type { StepMemory } from './step-memory.js'

/** What a network is trained on; `labels` may be absent for distillation alone. */
export type Samples = Omit<Dataset, 'spec' | 'classNames' | 'files'>

export type LossName = (typeof lossNames)[number]
export const lossNames = ['cross-entropy', 'bce', 'mse', 'matching'] as const

/** See `TrainOptions.loss`. */
export function lossNameOf(
  data: Pick<Samples, 'labels' | 'targets' | 'answer'>,
  { outputs }: Graph,
): LossName {
  const rank = (outputs.find((o) => o.name === data.answer) ?? outputs[0])?.dims?.length
  if (!isLabelled(data))
    return outputs.length > 1 || (rank !== undefined && rank !== 2) ? 'matching' : 'cross-entropy'
  if (!data.targets) return 'cross-entropy'
  return data.targets.every((v) => v === 0 || v === 1) ? 'bce' : 'mse'
}

export interface TrainOptions {
  /** Passes over the data; 1 by default. */
  readonly epochs?: number
  /** Makes the run shorter than `epochs`: so many steps, over which the schedule goes. */
  readonly maxSteps?: number
  /** Begins at this step of the run, as if those before had been taken; 0 by default. */
  readonly from?: number
  /** Ends after this step, with rates and data as of the whole run; its end by default. */
  readonly until?: number
  /** Samples a step; 64 by default. The last incomplete batch of an epoch is left out. */
  readonly batch?: number
  readonly optimizer?: OptimizerName
  /** Peak learning rate; 1e-3 for Adam and AdamW, 0.01 for SGD by default. */
  readonly lr?: number
  /** SGD's momentum; 0.9 by default. */
  readonly momentum?: number
  /** SGD's momentum looks ahead (Nesterov 1983); false by default. */
  readonly nesterov?: boolean
  /**
   * Weight decay of weights of two and more dimensions: added to their gradients, or with `adamw` taken from the weights
   * themselves. 0.01 for AdamW and 0 otherwise by default.
   */
  readonly weightDecay?: number
  /** `cosine` by default. */
  readonly schedule?: ScheduleName
  /** The share of all steps over which the learning rate rises from near 0; 0.05 by default, 0.3 for one-cycle. */
  readonly warmup?: number
  /** For the schedule `step`: shares of all steps after which the learning rate falls to a tenth; 0.5 and 0.75 by default. */
  readonly milestones?: readonly number[]
  /**
   * Weights that stay as they are: names of constants or of the nodes that use them, `*` standing for any characters.
   * None by default.
   */
  readonly freeze?: readonly string[]
  /** Weights that are exactly zero stay exactly zero; false by default. Those of two and more dimensions only. */
  readonly keepZeros?: boolean
  /** Makes weights zero while it trains; none by default. */
  readonly sparsity?: SparsityPlan
  /**
   * Exponential moving average of the weights (Polyak and Juditsky 1992), which the result then holds: the share of the
   * average that a step leaves, for example 0.999; early steps leave less, (1 + step) / (10 + step). 0, the default,
   * switches it off.
   */
  readonly average?: number
  /** Ends the run early, and takes the best weights, by their loss on labelled samples that are not trained on. */
  readonly stopping?: {
    readonly data: Samples
    /** Epochs without a lower loss after which the run ends. */
    readonly patience: number
  }
  /** Largest Euclidean norm of all gradients together; 0 switches clipping off; 5 by default. */
  readonly clip?: number
  /**
   * What the output that data are for (`answer`) is compared with their labels or targets by. `cross-entropy` where data have labels; else `bce`, the binary
   * cross-entropy of each output, where targets are 0 and 1, and `mse`, the mean squared error, where they are other numbers.
   * `matching` is the teacher's alone: the squared difference of every output, which all networks have; without labels and
   * targets it is taken where a network is no classifier of one output [batch, classes].
   */
  readonly loss?: LossName
  /** Softens the labels: each class gets this share divided by the number of classes; 0 by default. */
  readonly labelSmoothing?: number
  /** Distillation (Hinton et al. 2015): the teacher sees what the student sees; further outputs are matched with its own. */
  readonly teacher?: {
    readonly graph: Graph
    /** 4 by default. */
    readonly temperature?: number
    /** The teacher's share of the loss, the labels have the rest; 0.7 by default, 1 without labels. */
    readonly share?: number
  }
  /** `batch`: statistics of each batch and running averages (default); `frozen`: the file's statistics. */
  readonly batchNorm?: 'batch' | 'frozen'
  /**
   * Convolutions of a network without normalisation are trained with one behind each, which is folded into them at the
   * end; see `unfold`. False by default.
   */
  readonly unfold?: boolean
  /** Whether the network's Dropout drops; true by default. */
  readonly dropout?: boolean
  /** Random shifts by up to so many pixels, zeros moving in; 0 by default. Samples [channels, height, width] only. */
  readonly shift?: number
  /** Random mirroring left to right; false by default. */
  readonly flip?: boolean
  /** Random brightness and contrast of each image, by up to this share; 0 by default. */
  readonly colour?: number
  /**
   * Mixes each sample, and what is wanted for it, with another (Zhang et al. 2018, "mixup"): the α of the distribution
   * Beta(α, α) of its share, up to 1; 0 by default.
   */
  readonly mixup?: number
  /**
   * Bytes that a step may take, beside what the process and the optimiser hold: values of the forward pass are computed again in
   * the backward pass where that is needed for it, to the same weights. What there is if not given.
   */
  readonly memory?: number
  /**
   * Reads batches in a thread of its own while the runtime computes: where samples are on disk by default. Weights are the same
   * either way.
   */
  readonly readAhead?: boolean
  /** Same seed, same options, same data → same weights. 0 by default. */
  readonly seed?: number
  /** File that a run writes and takes up again if it fits; removed when the run ends, unless it is to be kept. */
  readonly checkpoint?: string
  /** Keeps the checkpoint of the run's end, until its weights are safe elsewhere; see `removeCheckpoint`. */
  readonly keepCheckpoint?: boolean
  /** Seconds between two checkpoints; 30 by default. */
  readonly checkpointSeconds?: number
}

export interface TrainProgress {
  readonly step: number
  readonly steps: number
  readonly epoch: number
  /** Mean over the steps since the last progress. */
  readonly loss: number
  /** Share of training samples answered rightly since the last progress; null without labels. */
  readonly accuracy: number | null
  /** With early stopping, after the first epoch: the latest loss on what is held out. */
  readonly held?: number
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
  /** One entry an epoch; `held` with early stopping: the loss on samples held out. */
  readonly epochs: readonly {
    readonly loss: number
    readonly accuracy: number | null
    readonly held?: number
  }[]
  /** Where `memory` was asked for, or more might be needed than there is: what a step takes, by prediction. */
  readonly memory?: StepMemory
  /** With early stopping: the epoch, counted from 1, whose weights were taken. */
  readonly bestEpoch?: number
}

export interface TrainResult {
  /** The given graph with new weights: same nodes, names, shapes and metadata. */
  readonly graph: Graph
  readonly history: TrainHistory
}

/** The highest learning rate. */
export const peakOf = ({ lr, optimizer }: TrainOptions): number => lr ?? (optimizer === 'sgd' ? 0.01 : 1e-3)

/** @throws OPTION_INVALID for options that train nothing or cannot hold together */
export function requireSense(
  { epochs = 1, batch = 64, average = 0, stopping, mixup = 0, ...more }: TrainOptions,
  { dtype = 'float32' }: Pick<Samples, 'dtype'> = {},
): void {
  const changed = mixup > 0 || (more.colour ?? 0) > 0 || (more.shift ?? 0) > 0 || more.flip
  const wrong =
    epochs < 1 || batch < 1
      ? `${epochs} epochs in batches of ${batch} train nothing; both must be at least 1`
      : !(average >= 0 && average < 1)
        ? `an average that keeps ${average} of itself is none; give a share below 1, for example 0.999`
        : stopping && stopping.patience < 1
          ? `a patience of ${stopping.patience} epochs would end every run after one; give at least 1`
          : !(mixup >= 0 && mixup <= 1)
            ? `mixup takes an α from 0 to 1, not ${mixup}`
            : more.sparsity && more.keepZeros
              ? 'zeros are either kept or made: give one of keepZeros and sparsity'
              : changed && dtype !== 'float32'
                ? `shift, flip, colour and mixup change images; the network takes ${dtype}`
                : undefined
  if (wrong) throw new EspalierError('OPTION_INVALID', wrong)
}
