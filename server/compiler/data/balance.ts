import type { Dataset } from './dataset.js'

/** Samples of each class; classes beyond the last label have none. */
export function classCounts({ labels }: Pick<Dataset, 'labels'>, classes = 0): number[] {
  const counts = new Array<number>(classes).fill(0)
  for (const label of labels ?? []) counts[label] = (counts[label] ?? 0) + 1
  return Array.from(counts, (n) => n ?? 0)
}

/** From this ratio of the most to the least frequent class on it is worth telling. */
const UNEVEN = 3

/**
 * What is odd about how samples spread over classes, in words: all of one class, classes without samples, or very uneven;
 * undefined where nothing is.
 */
export function imbalance(
  data: Pick<Dataset, 'labels' | 'classNames' | 'spec'>,
  classes = 0,
): string | undefined {
  if (!data.labels) return undefined
  const counts = classCounts(data, classes)
  const name = (c: number) => data.classNames?.[c] ?? String(c)
  const there = counts.flatMap((n, c) => (n > 0 ? [c] : []))
  if (there.length === 1)
    return `all ${data.labels.length} samples of '${data.spec}' are of class ${name(there[0])}; nothing can be learnt from one class`
  const missing = counts.flatMap((n, c) => (n === 0 ? [name(c)] : []))
  if (missing.length > 0) {
    const some = missing.slice(0, 8).join(', ')
    return `'${data.spec}' has no sample of ${missing.length} of ${counts.length} classes: ${some}${missing.length > 8 ? ', …' : ''}`
  }
  const least = there.reduce((a, b) => (counts[b] < counts[a] ? b : a))
  const most = there.reduce((a, b) => (counts[b] > counts[a] ? b : a))
  if (counts[most] < UNEVEN * counts[least]) return undefined
  return `'${data.spec}' is uneven: ${counts[most]} samples of class ${name(most)}, ${counts[least]} of class ${name(least)}`
}
