import { EspalierError } from '@espalier/shared'
import { layerAxes, xorshift } from '../analysis/index.js'
import type { Graph } from '../graph/index.js'
import { curvatures, gradientBatches, type Samples } from '../train/index.js'

/** What each weight is worth, in the order of the weight's elements. */
export type WeightScores = ReadonlyMap<string, Float32Array>

export interface WeightScoreOptions {
  /** Samples that the loss is taken over; 1024 by default, or as many as there are. */
  readonly samples?: number
  readonly seed?: number
}

type WeightCriterion = (
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  data: Samples | undefined,
  options: WeightScoreOptions,
) => Promise<WeightScores> | WeightScores

/** |w|. */
const magnitude: WeightCriterion = (_, weights) =>
  new Map([...weights].map(([name, w]) => [name, w.map(Math.abs)]))

/** No opinion: the baseline. */
const random: WeightCriterion = (_, weights, __, { seed = 0 }) => {
  const next = xorshift(seed)
  return new Map([...weights].map(([name, w]) => [name, w.map(next)]))
}

/**
 * (w · ∂L/∂w)², the mean over batches of 32 (Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning",
 * equation 8).
 */
const taylor: WeightCriterion = (graph, weights, data, { samples = 1024 }) =>
  meanSquares(graph, weights, data, samples, 32, (w, g) => (w * g) ** 2)

/**
 * w² / 2 · E[(∂L/∂w)²], the mean over single samples: the Hessian's diagonal by the Fisher information (Theis et al. 2018,
 * "Faster gaze prediction with dense networks and Fisher pruning", per weight).
 */
const fisher: WeightCriterion = (graph, weights, data, { samples = 1024 }) =>
  meanSquares(graph, weights, data, samples, 1, (w, g) => 0.5 * (w * g) ** 2)

/** w² / 2 · ∂²L/∂w² (LeCun, Denker and Solla 1990, "Optimal Brain Damage", section 2.2), the derivatives by `curvature`. */
const obd: WeightCriterion = async (graph, weights, data, { samples = 1024 }) => {
  const second = await curvatures(graph, labelled(data), new Set(weights.keys()), { samples })
  return new Map(
    [...weights].map(([name, w]) => {
      const h = second.get(name)
      return [name, w.map((v, i) => 0.5 * v * v * (h?.[i] ?? 0))]
    }),
  )
}

/** By the names of the command line. */
export const weightCriteria = { magnitude, random, taylor, fisher, obd } as const satisfies Record<
  string,
  WeightCriterion
>
export type WeightCriterionName = keyof typeof weightCriteria

/**
 * Scores of every weight of the convolutions and matrix products; higher is worth more.
 * @throws DATA_UNLABELLED where the criterion asks for labels, GRADIENT_UNKNOWN
 */
export async function weightScores(
  name: WeightCriterionName,
  graph: Graph,
  data?: Samples,
  options: WeightScoreOptions = {},
): Promise<WeightScores> {
  const weights = new Map<string, Float32Array>()
  for (const weight of layerAxes(graph).keys()) {
    const value = graph.constant(weight)
    if (value?.dtype === 'float32') weights.set(weight, value.data as Float32Array)
  }
  return weightCriteria[name](graph, weights, data, options)
}

async function meanSquares(
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  data: Samples | undefined,
  samples: number,
  batch: number,
  worth: (weight: number, gradient: number) => number,
): Promise<WeightScores> {
  const scores = new Map([...weights].map(([name, w]) => [name, new Float32Array(w.length)]))
  let batches = 0
  for await (const gradients of gradientBatches(graph, labelled(data), { samples, batch })) {
    batches++
    for (const [name, w] of weights) {
      const [sum, g] = [scores.get(name), gradients.get(name)]
      if (sum && g) for (let i = 0; i < w.length; i++) sum[i] += worth(w[i], g[i])
    }
  }
  return new Map([...scores].map(([name, sum]) => [name, sum.map((v) => v / batches)]))
}

function labelled(data: Samples | undefined): Samples {
  if (data?.labels) return data
  throw new EspalierError(
    'DATA_UNLABELLED',
    'this criterion needs the loss, and so labels: give labelled --data, or use magnitude',
  )
}
