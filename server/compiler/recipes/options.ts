import type { MemoryMeasurement } from '@espalier/shared/measure/index.js'
import type { LoadOptions } from '../data/index.js'
import type { FrontierPoint } from '../frontier.js'
import type { Resource, VariantLimits } from '../limits.js'
import type { Recipe } from '../recipe.js'

export interface FitOptions {
  /** Path of the dense ONNX file. */
  readonly model: string
  /** What the variants' names begin with; the file's name if not given, nothing if empty. */
  readonly name?: string
  /** Folder that receives variants and report; made if it is not there. */
  readonly out: string
  /** Data spec to train, choose and calibrate on; a tenth is held out. */
  readonly data: string
  /** Data spec to measure accuracy on; what was held out if not given. It decides nothing. */
  readonly eval?: string
  /** One entry a variant. */
  readonly variants: readonly VariantLimits[]
  readonly load?: Pick<LoadOptions, 'mean' | 'std' | 'scale' | 'layout' | 'shapes' | 'answer' | 'memory'>
  /** File of operator times that `espalier profile` wrote: what limits on latency are expected by. */
  readonly profile?: string
  /** The method, whole; what is given beside it counts more. One-shot by default. */
  readonly recipe?: Recipe
  /** How units are ranked; `taylor` where data have labels, else `l1`. */
  readonly criterion?: string
  /** Dimensions stay multiples of it where they can; by default what runs fastest here, by the profile or measured. */
  readonly round?: number
  /** At least this share of the residual branches stays; 0 by default. */
  readonly depth?: number
  /** Passes over the data when fine-tuning; 2 by default, 0 leaves it out. */
  readonly epochs?: number
  /** Further options of fine-tuning. */
  readonly training?: Recipe['training']
  /** 0 by default. */
  readonly seed?: number
}

export interface Progress {
  readonly stage: string
  readonly done: number
  readonly total: number
  readonly message?: string
  /** Name of the variant that the stage is about. */
  readonly variant?: string
  /** While training: mean loss, and share of training samples answered rightly, since the last progress. */
  readonly loss?: number
  readonly accuracy?: number | null
}

/** Accuracies on the evaluation data: shares of `n` samples, null where they have no labels; and the loss, as `Evaluation` has it. */
export interface Accuracy {
  readonly n: number
  readonly top1: number | null
  readonly loss: number | null
  readonly classes: readonly { readonly name: string; readonly n: number; readonly right: number }[]
}

export interface Sizes {
  readonly macs: number
  readonly params: number
  readonly fileBytes: number
  readonly predictedRamBytes: number
  readonly measuredRamBytes: number
  readonly memory: Pick<MemoryMeasurement, 'processes' | 'medianRamBytes' | 'spreadRamBytes'>
  readonly p50Ms: number
  readonly p90Ms: number | null
  readonly p95Ms: number | null
}

export interface DenseResult extends Sizes, Accuracy {
  /** The dense network given the same recipe, data and seed, and no teacher but the labels: the reference of every variant's accuracy. */
  readonly top1Reference: number | null
  readonly lossReference: number | null
  /** Memory of the same network with one channel in every group and no residual branch, measured. */
  readonly floorRamBytes: number
}

export interface GroupResult {
  readonly label: string
  readonly kept: number
  readonly of: number
}

/** What was done between pruning and fine-tuning; top-1 as in `Accuracy`. */
export interface RepairResult {
  readonly top1Pruned: number | null
  /** With the statistics of its normalisations set anew. */
  readonly top1Statistics: number | null
  readonly top1Repaired: number | null
  /** Whether the repaired network did better on what was held out, and so is what was fine-tuned. */
  readonly kept: boolean
  /** Inputs that repair looked at; 0 where there were too few. */
  readonly samples: number
  /** Layers that it changed. */
  readonly layers: number
  /** Error of the outputs against the dense network's, as a share of their variance, on inputs held out; null without repair. */
  readonly errorBefore: number | null
  readonly errorAfter: number | null
  readonly seconds: number
}

/** A network after a round: its shares of the dense network's cost, and top-1 on what was held out. */
export interface RoundResult {
  readonly round: number
  readonly macs: number
  readonly params: number
  readonly top1: number | null
}

export interface BlockResult {
  readonly label: string
  readonly kept: boolean
}

export interface VariantResult extends Sizes, Accuracy {
  readonly name: string
  readonly file: string
  readonly limits: VariantLimits
  readonly memoryBudgetBytes: number | null
  /** The limit that left the least room; null where the dense network meets all of them. */
  readonly bound: Resource | null
  /** Share of the saliency that was kept: 1 for the dense network, 0 for its floor. */
  readonly saliency: number
  /** Bytes that travel. */
  readonly artifactBytes: number
  /** Median query on the machine of the profile, as it is expected by it; null without a profile. */
  readonly expectedMs: number | null
  /** Right after pruning, before anything was done for it. */
  readonly top1Pruned: number | null
  readonly repair: RepairResult
  /** Share of samples answered as the dense network answers them. */
  readonly agreement: number
  readonly groups: readonly GroupResult[]
  /** Residual branches, and whether they are in the variant. */
  readonly blocks: readonly BlockResult[]
  /** With a recipe in rounds, those that held. */
  readonly rounds?: readonly RoundResult[]
  /** Where measured memory is below 90 % of its budget: why it could not be used. */
  readonly unused?: string
  /** What was done, in words. */
  readonly recipe: string
}

export interface FitResult {
  readonly dense: DenseResult
  readonly variants: readonly VariantResult[]
  /** What each budget of memory between floor and dense network would buy, by expectation. */
  readonly frontier: readonly FrontierPoint[]
  readonly seconds: number
  /** For people, in Markdown. */
  readonly report: string
}
