import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  batchOf,
  type Dataset,
  holdOut,
  type LoadOptions,
  loadDataset,
  pick,
  random,
  requireDistinct,
} from '@espalier/server/compiler/data/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { batchesOf } from '@espalier/server/compiler/recover/samples.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { refreshStatistics, type TrainOptions, train } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { zipSync } from 'fflate'
import sharp from 'sharp'
import t from 'tap'
import { idx, npy } from '../../support/arrays.js'
import { convNetwork, flatNetwork } from '../../support/networks.js'

const COUNT = 200
const next = random(3)
const labels = Uint8Array.from({ length: COUNT }, () => next() * 3)
const pixels = Uint8Array.from(
  { length: COUNT * 144 },
  (_, i) => next() * 100 + 50 * labels[Math.floor(i / 144)],
)
const numbers = Float32Array.from(pixels, (v) => v / 100 - 1)
const net = convNetwork([4, 6], 3)

async function folder(dir: string): Promise<Record<string, string>> {
  const at = (name: string) => join(dir, name)
  await writeFile(at('x.idx'), idx([COUNT, 12, 12], pixels))
  await writeFile(at('y.idx'), idx([COUNT], labels))
  await writeFile(at('x.gz'), gzipSync(idx([COUNT, 12, 12], pixels)))
  const x = npy('<f4', [COUNT, 1, 12, 12], numbers)
  const y = npy('<i8', [COUNT], BigInt64Array.from(labels, BigInt))
  await writeFile(at('plain.npz'), zipSync({ 'x.npy': x, 'y.npy': y }, { level: 0 }))
  await writeFile(at('small.npz'), zipSync({ 'x.npy': x, 'y.npy': y }))
  for (const label of [0, 1, 2]) await mkdir(at(`photos/${label}`), { recursive: true })
  for (let i = 0; i < 60; i++) {
    const raw = { width: 12, height: 12, channels: 1 } as const
    const file = at(`photos/${labels[i]}/${i}.png`)
    await sharp(pixels.subarray(i * 144, (i + 1) * 144), { raw })
      .png()
      .toFile(file)
  }
  return {
    idx: `idx:${at('x.idx')},${at('y.idx')}`,
    gzip: `idx:${at('x.gz')},${at('y.idx')}`,
    npz: `npz:${at('plain.npz')}`,
    compressed: `npz:${at('small.npz')}#skip=7`,
    images: `images:${at('photos')}`,
  }
}

const onDisk: LoadOptions = { memory: 100 }
const options: TrainOptions = {
  ...{ epochs: 2, batch: 16, lr: 0.01, seed: 5 },
  shift: 1,
  flip: true,
  colour: 0.1,
}
const weights = ({ constants }: { constants: Awaited<ReturnType<typeof trainHere>>['constants'] }) =>
  [...constants.values()].map((c) => [...(c.data as Float32Array)])
const trained = async (graph: Graph, data: Dataset, more: TrainOptions = {}) =>
  weights(await trainHere(graph, data, { ...options, ...more }, { on: () => {} }))

t.test(
  'samples on disk are trained, evaluated and looked at as those in memory are, bit for bit',
  async (t) => {
    for (const [name, spec] of Object.entries(await folder(t.testdir()))) {
      const held = await loadDataset(net, spec)
      const left = await loadDataset(net, spec, onDisk)
      t.notOk('kind' in held.values)
      t.ok('kind' in left.values, `${name} stays on disk`)
      t.equal(left.count, held.count)
      t.same(left.labels, held.labels)
      t.same(await batchOf(left, 3, 40), await batchOf(held, 3, 40), name)
      const [a, b] = [holdOut(held, 4), holdOut(left, 4)]
      t.same(b.rest.origin, a.rest.origin)
      t.same(await trained(net, b.rest), await trained(net, a.rest), `${name}: the same weights`)
      const [here, there] = [await evaluate(net, a.held), await evaluate(net, b.held)]
      t.equal(there.loss, here.loss)
      t.same(there.predictions, here.predictions)
      const looked = (data: Dataset) => batchesOf(net, data, { samples: 40, seed: 1 }).feeds(1)
      t.same(await looked(left), await looked(held))
      await t.rejects(requireDistinct(left, b.held), { code: 'DATA_SHARED' }, 'and told apart by content')
      await t.resolves(requireDistinct(b.rest, b.held))
    }
  },
)

t.test('they go to a process of its own, which takes its checkpoint up again', async (t) => {
  const dir = t.testdir()
  const { npz, images } = await folder(dir)
  for (const [name, spec] of Object.entries({ npz, images })) {
    const data = await loadDataset(net, spec, onDisk)
    const stopped = { ...options, epochs: 40, checkpoint: join(dir, name), checkpointSeconds: 0.01 }
    const controller = new AbortController()
    await t.rejects(
      train(net, data, stopped, () => controller.abort(), controller.signal),
      { code: 'INTERRUPTED' },
    )
    const steps: number[] = []
    const { graph } = await train(net, data, stopped, (p) => steps.push(p.step))
    const whole = await trainHere(
      net,
      await loadDataset(net, spec),
      { ...options, epochs: 40 },
      { on: () => {} },
    )
    for (const [constant, { data }] of whole.constants) t.same(graph.constant(constant)?.data, data, constant)
  }
})

t.test('of several arrays each is read, and what is picked twice is there twice', async (t) => {
  const { compressed } = await folder(t.testdir())
  const left = await loadDataset(net, compressed, onDisk)
  const some = pick(pick(left, [5, 9, 2, 8]), [1, 3, 3])
  const [a, b, c] = [9, 8, 8].map((i) => [...numbers.subarray((7 + i) * 144, (8 + i) * 144)])
  t.same([...(await batchOf(some, 0, 3))], [...a, ...b, ...c])
  t.same([...(some.origin ?? [])], [9, 8, 8])
  t.equal(await refreshStatistics(net, left), net)
})

t.test('what is wrong on disk is found when it is read, and named', async (t) => {
  const dir = t.testdir()
  const at = (name: string) => join(dir, name)
  const x = Float32Array.from(numbers)
  x[150 * 144 + 3] = Number.NaN
  await writeFile(at('nan.npz'), zipSync({ 'x.npy': npy('<f4', [COUNT, 1, 12, 12], x) }, { level: 0 }))
  const spec = `npz:${at('nan.npz')}`
  const wrong = { code: 'DATA_INVALID', message: /sample 150 of 'x' of '.*nan.npz' holds NaN; finite/ }
  await t.rejects(loadDataset(net, spec), wrong, 'held, at once')
  const left = await loadDataset(net, spec, onDisk)
  await t.rejects(evaluate(net, left), wrong)
  const some = pick(left, [1, 150, 3])
  await t.rejects(trained(net, { ...some, labels: Int32Array.of(0, 1, 2) }, { batch: 3 }), wrong)
  await writeFile(at('nan.npz'), 'gone')
  await t.rejects(evaluate(net, left), { code: 'DATA_INVALID', message: /nan.npz' ends before byte/ })

  await mkdir(at('photos'))
  for (const i of [0, 1, 2])
    await sharp({ create: { width: 12, height: 12, channels: 3, background: 'red' } })
      .png()
      .toFile(at(`photos/${i}.png`))
  await writeFile(at('photos/1.png'), 'no image')
  const photos = await loadDataset(net, `images:${at('photos')}`, onDisk)
  await t.rejects(evaluate(net, photos), { code: 'DATA_INVALID', message: /1\.png' cannot be decoded/ })

  const bomb = zipSync({ 'x.npy': npy('<f4', [10, 1, 12, 12], numbers.subarray(0, 1440)) })
  const view = new DataView(bomb.buffer, bomb.byteOffset, bomb.byteLength)
  for (let i = 0; i + 4 < bomb.length; i++)
    if (view.getUint32(i, true) === 0x02014b50)
      view.setUint32(i + 24, view.getUint32(i + 24, true) + 400, true)
  await writeFile(at('bomb.npz'), bomb)
  await t.rejects(loadDataset(net, `npz:${at('bomb.npz')}`), { code: 'DATA_INVALID' }, 'not what it declares')
})

t.test('channels in the last dimension are preprocessed and moved as those in the first', async (t) => {
  const dir = t.testdir()
  const colours = Uint8Array.from({ length: 6 * 8 * 8 * 3 }, (_, i) => (i * 37) % 256)
  await writeFile(join(dir, 'x.npz'), zipSync({ 'x.npy': npy('|u1', [6, 8, 8, 3], colours) }))
  const spec = `npz:${join(dir, 'x.npz')}`
  const how = { mean: [0.1, 0.2, 0.3], std: [1, 2, 4] }
  const held = await loadDataset(flatNetwork(['n', 8, 8, 3], 2), spec, how)
  const left = await loadDataset(flatNetwork(['n', 8, 8, 3], 2), spec, { ...how, ...onDisk })
  const batch = await batchOf(held, 0, 6)
  t.same(await batchOf(left, 0, 6), batch)
  for (const i of [0, 1, 2, 3, 700]) {
    const wanted = (colours[i] / 255 - how.mean[i % 3]) / how.std[i % 3]
    t.ok(Math.abs(Number(batch[i]) - wanted) < 1e-6)
  }
})

t.test('batches read ahead in a thread are those made when they are asked for', async (t) => {
  const { idx } = await folder(t.testdir())
  const data = await loadDataset(net, idx)
  const mixed = { ...options, mixup: 0.3, labelSmoothing: 0.1 }
  t.same(
    await trained(net, data, { ...mixed, readAhead: true }),
    await trained(net, data, { ...mixed, readAhead: false }),
  )
  const left = await loadDataset(net, idx, onDisk)
  t.same(
    await trained(net, left, mixed),
    await trained(net, data, mixed),
    'it is how samples on disk are read',
  )
  t.same(await trained(net, left, { ...mixed, readAhead: false }), await trained(net, data, mixed))
  const early = { ...mixed, epochs: 30, lr: 0.3, stopping: { data: left, patience: 1 } }
  t.same(await trained(net, left, early), await trained(net, data, early), 'also where it ends early')
})
