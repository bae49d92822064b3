import { choose, interval95, type Outcome, ranked } from '@espalier/agent/select.js'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import t from 'tap'
import { described } from './support/models.js'

const variant = (name: string, top1: number | null, ramBytes: number | null, n = 10_000): CatalogueVariant =>
  described(name, Buffer.from(name), {
    top1: top1 === null ? null : { value: top1, n },
    measuredRamBytes: ramBytes,
  }).variant

const limits = { memoryBytes: 4e6, p95Ms: null }
const decide = (
  variants: CatalogueVariant[],
  outcomes: [CatalogueVariant, Outcome][] = [],
  more: Partial<Parameters<typeof choose>[0]> = {},
) => {
  const known = new Map(outcomes.map(([v, o]) => [v.digest, o]))
  const choice = choose({ variants, limits, outcomes: known, excluded: new Set(), ...more })
  return choice.kind === 'none' ? [choice.kind, choice.failure.message] : [choice.kind, choice.variant.name]
}
const measured = (measuredRamBytes: number, p95Ms: number | null = 5): Outcome => ({
  measuredRamBytes,
  p50Ms: 4,
  p95Ms,
})

const large = variant('large', 0.99, 6e6)
const middle = variant('middle', 0.96, 3.5e6)
const small = variant('small', 0.9, 1e6)

t.test('the most accurate that is expected to fit is tried first', async (t) => {
  t.same(decide([small, large, middle]), ['try', 'middle'])
  t.same(decide([small, large, middle], [[middle, measured(3.9e6)]]), ['use', 'middle'])
})

t.test('measured memory decides, not what was predicted', async (t) => {
  t.same(decide([small, middle], [[middle, measured(4_000_001)]]), ['try', 'small'])
  t.same(decide([small, large], [[large, measured(3e6)]]), ['use', 'large'], 'less than predicted')
})

t.test('a 95th percentile above the limit rejects', async (t) => {
  const p95 = { limits: { memoryBytes: 4e6, p95Ms: 5 } }
  t.same(decide([small, middle], [[middle, measured(3e6, 5.01)]], p95), ['try', 'small'])
  t.same(decide([small, middle], [[middle, measured(3e6, 5)]], p95), ['use', 'middle'])
  t.same(
    decide([middle], [[middle, measured(3e6, null)]], p95),
    ['use', 'middle'],
    'its median keeps the limit',
  )
  const slow = { measuredRamBytes: 3e6, p50Ms: 6, p95Ms: null }
  t.match(decide([middle], [[middle, slow]], p95), ['none', /median/])
})

t.test('accuracies within each other’s 95 % interval tie, and the larger that fits wins', async (t) => {
  const a = variant('a', 0.961, 1e6)
  const b = variant('b', 0.959, 3e6)
  const c = variant('c', 0.94, 3.9e6)
  t.same(
    ranked([a, b, c]).map((v) => v.name),
    ['b', 'a', 'c'],
  )
  const few = [a, b, c].map((v) => ({ ...v, top1: { value: v.top1!.value, n: 100 } }))
  t.same(
    ranked(few).map((v) => v.name),
    ['c', 'b', 'a'],
    'with a hundred examples all three tie',
  )
})

t.test('unknown accuracy comes after every known one, larger first', async (t) => {
  const order = ranked([variant('x', null, 1e6), variant('y', null, 2e6), variant('z', 0.2, 1e5)])
  t.same(
    order.map((v) => v.name),
    ['z', 'y', 'x'],
  )
})

t.test('excluded variants are passed over, a pinned one leaves no choice', async (t) => {
  t.same(decide([small, middle], [], { excluded: new Set([middle.digest]) }), ['try', 'small'])
  t.same(decide([small, middle], [], { pinned: small.digest }), ['try', 'small'])
  t.match(decide([small, large], [], { pinned: large.digest })[0], 'none')
})

t.test('when nothing fits the reason is told', async (t) => {
  t.match(decide([large]), ['none', /large: expected 6.00 MB .* budget is 4.00 MB/])
  t.match(decide([]), ['none', /catalogue is empty/])
  const broken: Outcome = { failure: { code: 'MODEL_UNRUNNABLE', message: 'no such operator' } }
  t.match(decide([small], [[small, broken]]), ['none', /small: no such operator/])
})

t.test('the interval is Wilson’s', async (t) => {
  const [low, high] = interval95({ value: 0.5, n: 100 })
  t.ok(Math.abs(low - 0.4038) < 1e-4 && Math.abs(high - 0.5962) < 1e-4, `${low} ${high}`)
  const [, top] = interval95({ value: 1, n: 10 })
  t.ok(top <= 1 + 1e-12 && top > 0.99, `${top}`)
})
