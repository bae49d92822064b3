/** Mean, least and most of the top-1 of rows that differ by their seed alone; what else they say stays. */
export function overSeeds<R extends { readonly seed: number; readonly top1: number }>(
  rows: readonly R[],
): (Omit<R, 'seed' | 'top1'> & { seeds: number; mean: number; least: number; most: number })[] {
  const groups = new Map<string, { readonly of: Omit<R, 'seed' | 'top1'>; readonly top1: number[] }>()
  for (const { seed: _, top1, ...of } of rows) {
    const key = JSON.stringify(of)
    const group = groups.get(key) ?? { of, top1: [] }
    group.top1.push(top1)
    groups.set(key, group)
  }
  return [...groups.values()].map(({ of, top1 }) => ({
    ...of,
    seeds: top1.length,
    mean: top1.reduce((a, b) => a + b, 0) / top1.length,
    ...{ least: Math.min(...top1), most: Math.max(...top1) },
  }))
}
