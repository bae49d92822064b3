export const scopes = ['layer', 'global', 'erk'] as const
/**
 * Where zeros go: the same share of every layer, the lowest of all wherever they are, or less of small layers: what stays
 * of each is in proportion to the sum of its dimensions over their product (Mocanu et al. 2018, "Scalable training of
 * artificial neural networks with adaptive sparse connectivity inspired by network science"; with kernels, Evci et al.
 * 2020, "Rigging the Lottery: Making All Tickets Winners").
 */
export type Scope = (typeof scopes)[number]

/**
 * The share of each layer's weights that becomes zero; one for all of them together with the scope `global`.
 * @param layers shapes of the weights
 */
export function sharesOf(
  scope: Scope,
  layers: readonly (readonly number[])[],
  sparsity: number,
): number | readonly number[] {
  if (scope === 'global') return sparsity
  return scope === 'layer' ? layers.map(() => sparsity) : erdosRenyiKernel(layers, sparsity)
}

function erdosRenyiKernel(layers: readonly (readonly number[])[], sparsity: number): number[] {
  const sizes = layers.map((dims) => dims.reduce((n, d) => n * d, 1))
  const raw = layers.map((dims, k) => dims.reduce((n, d) => n + d, 0) / sizes[k])
  const sum = (of: (k: number) => number, among: readonly number[]) => among.reduce((n, k) => n + of(k), 0)
  const all = layers.map((_, k) => k)
  const left = (1 - sparsity) * sum((k) => sizes[k], all)
  const dense = new Set<number>()
  for (;;) {
    const sparse = all.filter((k) => !dense.has(k))
    const scale = (left - sum((k) => sizes[k], [...dense])) / sum((k) => raw[k] * sizes[k], sparse)
    const full = sparse.filter((k) => scale * raw[k] >= 1)
    if (full.length === 0) return all.map((k) => (dense.has(k) ? 0 : 1 - scale * raw[k]))
    for (const k of full) dense.add(k)
  }
}
