import type { Coupling } from '../analysis/index.js'
import type { Samples } from '../train/index.js'
import { taylor } from './taylor.js'

/**
 * Fisher pruning (Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning", equation 8): half the
 * mean over single samples of (Σ a · ∂L/∂a)², a unit's activation times its gradient: the second-order term of what its
 * removal changes the loss by, with the Fisher information for the Hessian.
 * @param samples 512 by default: each is a pass of its own
 * @returns one array a group, comparable between groups, and one for the blocks, their mean one
 * @throws DATA_UNLABELLED, and what training throws for networks that cannot be differentiated
 */
export async function fisher(
  coupling: Coupling,
  data: Samples,
  { samples = 512 }: { samples?: number } = {},
): Promise<Float64Array[]> {
  const used = Math.max(1, Math.min(samples, data.count))
  const scores = await taylor(coupling, data, { samples: used, batch: 1, across: true })
  const blocks = scores.length - 1
  return scores.map((s, g) => (g < blocks ? s.map((v) => v / (2 * used)) : s))
}
