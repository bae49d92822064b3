import { median, percentiles, queriesNeeded } from '@espalier/shared/measure/index.js'
import t from 'tap'

const upTo = (n: number) => Float64Array.from({ length: n }, (_, i) => n - i)

t.test('percentiles are values that were measured, by nearest rank', async (t) => {
  t.same(percentiles(upTo(1000)), { p50Ms: 500, p90Ms: 900, p95Ms: 950, p99Ms: 990 })
  t.equal(percentiles([7]).p50Ms, 7)
})

t.test('a percentile without enough queries is null', async (t) => {
  for (const [key, n] of [
    ['p90Ms', 64],
    ['p95Ms', 130],
    ['p99Ms', 662],
  ] as const) {
    t.equal(percentiles(upTo(n - 1))[key], null)
    t.type(percentiles(upTo(n))[key], 'number')
  }
})

t.test('the counts are the least for which the second slowest bounds the percentile with 99 %', async (t) => {
  // P(at most one of n queries lies above the q-th percentile)
  const doubt = (n: number, q: number) => q ** n + n * q ** (n - 1) * (1 - q)
  for (const [key, q] of [
    ['p90', 0.9],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const) {
    const n = queriesNeeded[key]
    t.ok(doubt(n, q) <= 0.01, `${key}: ${doubt(n, q)} at ${n}`)
    t.ok(doubt(n - 1, q) > 0.01, `${key}: ${doubt(n - 1, q)} at ${n - 1}`)
  }
})

t.test('the median of an even number lies between the two in the middle', async (t) => {
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(median([9, 1, 3]), 3)
})
