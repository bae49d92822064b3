import type { Command } from 'commander'
import { type OptimizerName, optimizerNames, type ScheduleName, scheduleNames } from '../compiler/names.js'
import { type LossName, lossNames, type TrainOptions, type TrainProgress } from '../compiler/train/index.js'
import { count, many, oneOf, positive, share, size } from './command.js'
import { show } from './output.js'

/** What the options of `addTrainingOptions` give. */
export interface TrainingOptions {
  readonly lr?: number
  readonly batch: number
  readonly optimizer: OptimizerName
  readonly momentum: number
  readonly nesterov?: boolean
  readonly weightDecay?: number
  readonly schedule: ScheduleName
  readonly warmup?: number
  readonly freeze?: string[]
  readonly average: number
  readonly loss?: LossName
  readonly labelSmoothing: number
  readonly colour: number
  readonly mixup: number
  readonly shift: number
  readonly flip?: boolean
  readonly frozenNorm?: boolean
  readonly stepMemory?: number
  readonly unfold?: boolean
  readonly seed: number
  readonly quiet?: boolean
}

/** Adds what every command that trains takes, but for how long. */
export const addTrainingOptions = (command: Command): Command =>
  command
    .option('--lr <rate>', 'highest learning rate; 0.01 for sgd and 0.001 otherwise if not given', positive)
    .option('--batch <n>', 'samples a step', count, 64)
    .option('--optimizer <name>', optimizerNames.join(', '), oneOf('an optimizer', optimizerNames), 'adam')
    .option('--momentum <share>', 'momentum of sgd', share, 0.9)
    .option('--nesterov', "sgd's momentum looks ahead")
    .option('--weight-decay <rate>', '0.01 for adamw, which takes it from the weights; else 0', share)
    .option('--schedule <name>', scheduleNames.join(', '), oneOf('a schedule', scheduleNames), 'cosine')
    .option('--warmup <share>', 'share of the steps over which the learning rate rises', share)
    .option(
      '--freeze <name...>',
      'leave weights alone: names of weights or nodes, * for any letters',
      many(String),
    )
    .option(
      '--average <share>',
      'average of the weights that keeps this share a step, for example 0.999',
      share,
      0,
    )
    .option(
      '--loss <name>',
      `${lossNames.join(', ')}; the first for labels, by the numbers of y for targets`,
      oneOf('a loss', lossNames),
    )
    .option('--label-smoothing <share>', 'take this share from the right class for all', share, 0)
    .option('--shift <pixels>', 'shift images at random by up to so many pixels', count, 0)
    .option('--flip', 'mirror images at random')
    .option('--colour <share>', 'change brightness and contrast at random by up to this share', share, 0)
    .option('--mixup <alpha>', 'mix pairs of samples by shares drawn from Beta(alpha, alpha)', share, 0)
    .option('--frozen-norm', "keep the file's batch-normalisation statistics")
    .option(
      '--step-memory <B>',
      'what a step may take: where needed, values are computed again for the way back (default: what there is)',
      size,
    )
    .option(
      '--unfold',
      'train convolutions of a network without normalisation with one behind each, folded into them at the end',
    )
    .option('--seed <n>', 'same seed, same data, same weights', count, 0)
    .option('--quiet', 'no progress, no curves and no notes')

/** The options as `train` takes them. */
export const trainingOf = ({
  frozenNorm,
  stepMemory,
  ...options
}: TrainingOptions): Omit<TrainOptions, 'epochs'> => {
  const { lr, batch, optimizer, momentum, nesterov, weightDecay, schedule, warmup } = options
  const { freeze, average, loss, labelSmoothing, shift, flip, colour, mixup, unfold, seed } = options
  return {
    ...{ lr, batch, optimizer, momentum, nesterov, weightDecay, schedule, warmup },
    ...{ freeze, average, loss, labelSmoothing, shift, flip, colour, mixup, unfold, seed },
    memory: stepMemory,
    batchNorm: frozenNorm ? 'frozen' : 'batch',
  }
}

/** One line of progress on a terminal. */
export function trainingLine(p: TrainProgress): string {
  const { epoch, loss, accuracy, held, imagesPerSecond, secondsLeft } = p
  const right = accuracy === null ? '' : `, ${show.percent(accuracy)} right`
  const out = held === undefined ? '' : `, ${held.toFixed(4)} held out`
  return `epoch ${epoch}: loss ${loss.toFixed(4)}${out}${right}, ${imagesPerSecond.toFixed(0)} images/s, ${Math.ceil(secondsLeft)} s left`
}
