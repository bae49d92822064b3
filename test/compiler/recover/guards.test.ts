import { type Dataset, shuffled } from '@espalier/server/compiler/data/index.js'
import { recover } from '@espalier/server/compiler/recover/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { outputsOn } from '../../support/compare.js'
import { noise } from '../../support/noise.js'
import { architectures, invertedResidual, plain } from '../../zoo/index.js'

async function halved(graph = plain()) {
  const subject = await prunable(graph)
  const { coupling } = subject
  const removed = keepShare(coupling, criteria.l2(coupling), { share: 0.5 })
  return { coupling, removed, small: pruned(subject, removed) }
}

t.test('what fits the inputs looked at and harms those held out is refused', async (t) => {
  const { coupling, removed, small } = await halved()
  const data = noise([3, 8, 8], 200)
  // Batches of 20, every fifth held out: all others show the network one and the same image.
  const order = shuffled(data.count, 0)
  const values = Float32Array.from(data.values)
  for (const [at, i] of order.entries())
    if (Math.floor(at / 20) % 5 !== 4) values.set(data.values.subarray(0, 192), i * 192)
  const result = await recover(coupling, removed, small, { ...data, values })
  t.ok(result.layers.every((l) => l.errorAfter <= l.errorBefore))
  const honest = await recover(coupling, removed, small, data)
  t.ok(honest.better && honest.errorAfter < honest.errorBefore)
  t.ok(result.errorAfter > honest.errorAfter || !result.better)
  if (!result.better) t.equal(result.graph, small, 'as it came')
})

t.test('data that cannot be used are refused, and an aborted repair ends', async (t) => {
  const { coupling, removed, small } = await halved()
  const from = (data: Dataset, options = {}) => recover(coupling, removed, small, data, options)
  await t.rejects(from(noise([3, 8, 8], 19)), { code: 'DATA_INVALID', message: /at least 20/ })
  await t.rejects(from(noise([3, 8, 9], 40)), { code: 'DATA_SHAPE_MISMATCH', message: /\[3,8,9\]/ })
  const signal = AbortSignal.abort(new Error('enough'))
  await t.rejects(from(noise([3, 8, 8], 40), { signal }), { message: 'enough' })
})

t.test('where a network computes no numbers it stays as it came', async (t) => {
  const { coupling, removed, small } = await halved()
  const data = noise([3, 8, 8], 60)
  const { graph, better } = await recover(coupling, removed, small, {
    ...data,
    values: data.values.map(() => Number.NaN),
  })
  t.equal(better, false)
  t.equal(graph, small)
})

t.test('the same seed repairs to the same weights, and layers are told as they come', async (t) => {
  const { coupling, removed, small } = await halved(invertedResidual())
  const data = noise([3, 8, 8], 60)
  const told: string[] = []
  const on = (done: number, total: number, layer: string) => told.push(`${done}/${total} ${layer}`)
  const first = await recover(coupling, removed, small, data, { on })
  const second = await recover(coupling, removed, small, data)
  t.same(await outputsOn(second.graph, data), await outputsOn(first.graph, data))
  t.equal(told.length, first.layers.length + first.left.length)
})

/** One of each kind that repair meets: groups, shuffles, gates, heads, windows, taps along one axis, recurrences. */
const kinds = [
  'autoencoder',
  'ResNet pre-activation',
  'ResNeXt',
  'DenseNet',
  'MobileNet 3',
  'ShuffleNet 2',
  'ViT',
  'YOLO CSP',
  'CRNN',
  'WaveNet',
  'int8 QDQ',
]

t.test('no architecture of the zoo is harmed, and most come closer to what they were', async (t) => {
  const tried: string[] = []
  for (const { name, make } of architectures.filter((a) => kinds.includes(a.name))) {
    const graph = make()
    const dims = graph.inputs[0].dims?.slice(1).map(Number) ?? []
    const { coupling, removed, small } = await halved(graph)
    const data = noise(dims, 40)
    const result = await recover(coupling, removed, small, data)
    const { better, errorBefore, errorAfter, left } = result
    tried.push(
      `${better ? 'better' : 'as it was'}: ${name} ${errorBefore.toFixed(3)} → ${errorAfter.toFixed(3)}`,
    )
    t.ok(!better || errorAfter < errorBefore, `${tried.at(-1)}; left ${left.length}`)
    t.ok((await outputsOn(result.graph, data)).every(Number.isFinite), name)
  }
  const better = tried.filter((line) => line.startsWith('better'))
  t.ok(
    tried.length === kinds.length && better.length >= 0.8 * tried.length,
    `${better.length} of ${tried.length}`,
  )
})
