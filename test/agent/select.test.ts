import { interval95, byAccuracy as ranked } from '@espalier/agent/ranking.js'
import { choose, type Outcome } from '@espalier/agent/select.js'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import t from 'tap'
import { described } from './support/models.js'

const variant = (name: string, top1: number | null, ramBytes: number | null, n = 10_000): CatalogueVariant =>
  described(name, Buffer.from(name), {
    top1: top1 === null ? null : { value: top1, n },
    measuredRamBytes: ramBytes,
  }).variant

const limits = { memoryBytes: 4e6, p95Ms: null, top1: null }
const decide = (
  variants: CatalogueVariant[],
  outcomes: [CatalogueVariant, Outcome][] = [],
  more: Partial<Parameters<typeof choose>[0]> = {},
) => {
  const known = new Map(outcomes.map(([v, o]) => [v.digest, o]))
  const choice = choose({ variants, limits, outcomes: known, excluded: new Set(), goal: 'accuracy', ...more })
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
  const p95 = { limits: { ...limits, p95Ms: 5 } }
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

t.test('by speed it goes on to the neighbours of the fastest until they are slower', async (t) => {
  const of = (name: string, macs: number, top1 = 0.95) => ({ ...variant(name, top1, 1e6), macs })
  const [a, b, c, d] = [of('a', 1e6), of('b', 2e6), of('c', 3e6), of('d', 4e6)]
  const at = (p50Ms: number): Outcome => ({ measuredRamBytes: 1e6, p50Ms, p95Ms: null })
  const speed = { goal: 'speed' as const }
  t.same(decide([d, c, b, a], [], speed), ['try', 'a'], 'the least arithmetic is the most promising')
  t.same(decide([a, b, c, d], [[a, at(5)]], speed), ['try', 'b'])
  const slower: [CatalogueVariant, Outcome][] = [
    [a, at(5)],
    [b, at(6)],
  ]
  t.same(decide([a, b, c, d], slower, speed), ['use', 'a'], 'two downloads of four')
  const faster: [CatalogueVariant, Outcome][] = [
    [a, at(5)],
    [b, at(4)],
  ]
  t.same(decide([a, b, c, d], faster, speed), ['try', 'c'], 'on while it gets faster')
  const nearly: [CatalogueVariant, Outcome][] = [
    [a, at(5)],
    [b, at(4.6)],
    [c, at(9)],
  ]
  t.same(decide([a, b, c, d], nearly, { ...speed, active: a.digest }), ['use', 'a'], 'not for 8 %')
  t.same(decide([a, b, c, d], nearly, { ...speed, active: d.digest }), ['use', 'b'])
  const floor = { ...speed, limits: { ...limits, top1: 0.9 } }
  t.same(decide([{ ...a, top1: { value: 0.8, n: 1000 } }, b], [], floor), ['try', 'b'])
  t.match(decide([{ ...a, top1: null }], [], floor), ['none', /unknown accuracy, where at least 90.00 %/])
})

t.test('by smallness the least memory above the floor wins, with one download', async (t) => {
  const smallness = { goal: 'smallness' as const }
  t.same(decide([large, middle, small], [], smallness), ['try', 'small'])
  t.same(decide([large, middle, small], [[small, measured(1e6)]], smallness), ['use', 'small'])
  const floor = { ...smallness, limits: { ...limits, top1: 0.95 } }
  t.same(decide([large, middle, small], [], floor), ['try', 'middle'])
})

t.test('what broke a limit comes back only by a margin', async (t) => {
  const p95 = { limits: { ...limits, p95Ms: 5 } }
  const heldBack = { at: 0, pauseMs: 1, temperatureC: null }
  const at = (p95Ms: number): Outcome => ({ measuredRamBytes: 1e6, p50Ms: 1, p95Ms, heldBack })
  t.same(decide([small, middle], [[middle, at(4.9)]], p95), ['try', 'small'])
  t.same(decide([small, middle], [[middle, at(4.7)]], p95), ['use', 'middle'])
})

t.test('the interval is Wilson’s', async (t) => {
  const [low, high] = interval95({ value: 0.5, n: 100 })
  t.ok(Math.abs(low - 0.4038) < 1e-4 && Math.abs(high - 0.5962) < 1e-4, `${low} ${high}`)
  const [, top] = interval95({ value: 1, n: 10 })
  t.ok(top <= 1 + 1e-12 && top > 0.99, `${top}`)
})
