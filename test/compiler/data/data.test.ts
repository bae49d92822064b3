import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  batchOf,
  type Dataset,
  holdOut,
  loadDataset,
  preprocessOf,
  requireDistinct,
  withPreprocess,
} from '@espalier/server/compiler/data/index.js'
import { zipSync } from 'fflate'
import sharp from 'sharp'
import t from 'tap'
import { idx, npy } from '../../support/arrays.js'
import { heldOf } from '../../support/held.js'
import { flatNetwork } from '../../support/networks.js'

const steps = (n: number) => Array.from({ length: n }, (_, i) => i % 256)

t.test('idx files give bytes and labels, gzipped or not, and a range of them', async (t) => {
  const dir = t.testdir({
    'x.idx': idx([4, 2, 3], steps(24)),
    'y.gz': gzipSync(idx([4], [0, 1, 2, 1])),
  })
  const spec = `idx:${join(dir, 'x.idx')},${join(dir, 'y.gz')}`
  const net = flatNetwork(['n', 1, 2, 3], 3)
  const all = await loadDataset(net, spec)
  t.equal(all.count, 4)
  t.same(all.dims, [1, 2, 3])
  t.ok(all.values instanceof Uint8Array, 'kept as bytes')
  t.same([...all.labels!], [0, 1, 2, 1])
  const some = await loadDataset(net, `${spec}#skip=1#first=2`)
  t.same([...heldOf(some)], steps(24).slice(6, 18))
  t.same([...some.labels!], [1, 2])
  t.equal((await loadDataset(flatNetwork(['n', 6], 3), spec)).count, 4, 'flat inputs take images')
})

t.test(
  'a batch is (x · scale − mean) / std by channel; bytes are divided by 255 unless told otherwise',
  async (t) => {
    const dir = t.testdir({
      'x.npz': zipSync({
        'x.npy': npy('|u1', [2, 2, 1, 2], Uint8Array.from([0, 255, 51, 102, 0, 0, 255, 255])),
      }),
    })
    const spec = `npz:${join(dir, 'x.npz')}`
    const net = flatNetwork(['n', 2, 1, 2], 3)
    const near = async (data: Dataset, wanted: number[]) => {
      const got = await batchOf(data, 0, 2)
      t.ok(
        wanted.every((w, i) => Math.abs(w - Number(got[i])) < 1e-6),
        `${[...got]}`,
      )
    }
    await near(await loadDataset(net, spec), [0, 1, 0.2, 0.4, 0, 0, 1, 1])
    await near(
      await loadDataset(net, spec, { mean: [0.5, 0], std: [0.5, 0.1] }),
      [-1, 1, 2, 4, -1, -1, 10, 10],
    )
    await near(await loadDataset(net, spec, { scale: 1 }), [0, 255, 51, 102, 0, 0, 255, 255])
    const carrying = withPreprocess(net, { scale: 1, mean: [1], std: [2] })
    t.same(preprocessOf(carrying), { scale: 1, mean: [1], std: [2] })
    await near(await loadDataset(carrying, spec), [-0.5, 127, 25, 50.5, -0.5, -0.5, 127, 127])
    await t.rejects(loadDataset(net, spec, { mean: [1, 2, 3] }), { code: 'OPTION_INVALID' })
    await t.rejects(loadDataset(net, spec, { std: [0] }), { code: 'OPTION_INVALID' })
    const broken = flatNetwork(['n', 2, 1, 2], 3, { 'espalier.preprocess': '{"scale":"x"}' })
    await t.rejects(loadDataset(broken, spec), { code: 'MODEL_INVALID' })
  },
)

t.test('npz files hold floats or integers, with labels or without', async (t) => {
  const x = Float64Array.from([0.5, -1, 2, 3])
  const dir = t.testdir({
    'xy.npz': zipSync({
      'x.npy': npy('<f8', [2, 2], x),
      'y.npy': npy('<i8', [2], BigInt64Array.from([1n, 0n])),
    }),
    'bad-y.npz': zipSync({
      'x.npy': npy('<f8', [2, 2], x),
      'y.npy': npy('<i8', [2], BigInt64Array.from([1n, -1n])),
    }),
    'numbers.npz': zipSync({
      'x.npy': npy('<f8', [2, 2], x),
      'y.npy': npy('<f8', [2], Float64Array.from([1, 0.5])),
    }),
    'several.npz': zipSync({
      'x.npy': npy('<f8', [2, 2], x),
      'y.npy': npy('<i8', [2, 2], BigInt64Array.from([1n, 0n, 1n, 1n])),
    }),
    'nan-y.npz': zipSync({
      'x.npy': npy('<f8', [2, 2], x),
      'y.npy': npy('<f8', [2, 2], Float64Array.from([0, 1, 2, Number.NaN])),
    }),
    'fortran.npz': zipSync({ 'x.npy': npy('<f8', [2, 2], x, "'fortran_order': True") }),
    'object.npz': zipSync({ 'x.npy': npy('|O', [2, 2], x) }),
    'short.npz': zipSync({ 'x.npy': npy('<f8', [3, 2], x) }),
    'no-x.npz': zipSync({ 'z.npy': npy('<f8', [2, 2], x) }),
    'no.npz': 'not a zip',
  })
  const net = flatNetwork(['n', 2], 2)
  const data = await loadDataset(net, `npz:${join(dir, 'xy.npz')}`)
  t.same([...(await batchOf(data, 0, 2))], [...x])
  t.same([...data.labels!], [1, 0])
  const one = flatNetwork(['n', 2], 1)
  const numbers = await loadDataset(one, `npz:${join(dir, 'numbers.npz')}#skip=1`)
  t.same([...(numbers.targets ?? [])], [0.5], 'what is not whole is a target')
  t.equal(numbers.labels, undefined)
  const several = await loadDataset(net, `npz:${join(dir, 'several.npz')}`)
  t.same([...(several.targets ?? [])], [1, 0, 1, 1], 'and so are several numbers a sample')
  await t.rejects(loadDataset(net, `npz:${join(dir, 'numbers.npz')}`), {
    code: 'DATA_SHAPE_MISMATCH',
    message: /1 targets a sample, but the network gives 2/,
  })
  await t.rejects(loadDataset(net, `npz:${join(dir, 'nan-y.npz')}`), {
    code: 'DATA_INVALID',
    message: /sample 1 of 'y' of .* holds NaN; finite numbers/,
  })
  await t.rejects(loadDataset(net, `npz:${join(dir, 'bad-y.npz')}`), { code: 'DATA_LABELS_INVALID' })
  for (const name of ['fortran', 'object', 'short', 'no-x', 'no'])
    await t.rejects(loadDataset(net, `npz:${join(dir, `${name}.npz`)}`), { code: 'DATA_INVALID' }, name)
})

t.test('a folder of images: one folder a class, by name; classes take turns', async (t) => {
  const dir = t.testdir()
  for (const [name, grey] of Object.entries({ b: 200, a: 10 })) {
    await mkdir(join(dir, name))
    for (const i of [0, 1])
      await sharp({ create: { width: 8, height: 6, channels: 3, background: { r: grey, g: 0, b: i } } })
        .png()
        .toFile(join(dir, name, `${i}.png`))
  }
  const data = await loadDataset(flatNetwork(['n', 3, 4, 4], 2), `images:${dir}`)
  t.same(data.classNames, ['a', 'b'])
  t.same([...data.labels!], [0, 1, 0, 1])
  t.same(data.dims, [3, 4, 4])
  t.equal(heldOf(data)[0], 10, 'red plane first')
  t.equal(heldOf(data)[48], 200)
  t.equal(heldOf(data)[2 * 48 + 32], 1, 'blue plane of the second picture')
  const last = await loadDataset(flatNetwork(['n', 4, 4, 3], 2), `images:${dir}#first=1`)
  t.same([...heldOf(last).subarray(0, 3)], [10, 0, 0], 'channels last where the network wants them so')
  const seen: number[] = []
  await loadDataset(flatNetwork(['n', 1, 4, 4], 2), `images:${dir}/a`, { on: (done) => seen.push(done) })
  t.same(seen, [1, 2], 'progress, and a flat folder has no labels')
})

t.test('bad data are refused with a code and the name of what is wrong', async (t) => {
  const dir = t.testdir({
    'x.idx': idx([2, 2, 2], steps(8)),
    'y.idx': idx([2], [0, 9]),
    'y3.idx': idx([3], [0, 1, 1]),
    'cut.idx': idx([2, 2, 2], steps(7)),
    empty: {},
    'cut.gz': gzipSync(idx([2], [0, 9])).subarray(0, 15),
    mixed: { a: { '1.png': 'x' }, '2.png': 'x' },
    broken: { a: { '1.png': 'no image' } },
  })
  const at = (name: string) => join(dir, name)
  const net = flatNetwork(['n', 1, 2, 2], 3)
  const refused: [string, string][] = [
    ['nothing', 'DATA_SPEC_INVALID'],
    ['idx:one', 'DATA_SPEC_INVALID'],
    ['npz:x#first=0', 'DATA_SPEC_INVALID'],
    ['npz:x#last=3', 'DATA_SPEC_INVALID'],
    [`npz:${at('none.npz')}`, 'FILE_NOT_FOUND'],
    [`images:${at('none')}`, 'FILE_NOT_FOUND'],
    [`idx:${at('x.idx')},${at('y.idx')}`, 'DATA_LABELS_INVALID'],
    [`idx:${at('x.idx')},${at('y3.idx')}`, 'DATA_INVALID'],
    [`idx:${at('cut.idx')},${at('y.idx')}`, 'DATA_INVALID'],
    [`idx:${at('x.idx')},${at('cut.gz')}`, 'DATA_INVALID'],
    [`images:${at('empty')}`, 'DATA_INVALID'],
    [`images:${at('mixed')}`, 'DATA_INVALID'],
    [`images:${at('broken')}`, 'DATA_INVALID'],
  ]
  for (const [spec, code] of refused) await t.rejects(loadDataset(net, spec), { code }, spec)
  await writeFile(at('y.idx'), idx([2], [0, 1]))
  const good = `idx:${at('x.idx')},${at('y.idx')}`
  await t.rejects(loadDataset(flatNetwork(['n', 3, 2, 2], 3), good), { code: 'DATA_SHAPE_MISMATCH' })
  await t.rejects(loadDataset(flatNetwork(['n', 1, 'h', 2], 3), good), { code: 'DIMENSION_UNKNOWN' })
  await t.rejects(loadDataset(net, `${good}#skip=2`), { code: 'DATA_INVALID' })
  const shaped = await loadDataset(flatNetwork(['n', 1, 'h', 2], 3), good, { shapes: { x: [1, 1, 2, 2] } })
  t.equal(shaped.count, 2)
})

t.test('what is held out is drawn by the seed and not in the rest', async (t) => {
  const data: Dataset = {
    spec: 'npz:x',
    count: 50,
    dims: [1],
    values: Uint8Array.from(steps(50)),
    labels: Int32Array.from(steps(50)),
  }
  const a = holdOut(data, 7)
  t.equal(a.held.count, 5)
  t.same(
    [...heldOf(a.rest), ...heldOf(a.held)].sort((x, y) => x - y),
    steps(50),
  )
  t.same([...heldOf(a.held)], [...a.held.labels!], 'labels go with their samples')
  t.same(holdOut(data, 7), a)
  t.notSame(holdOut(data, 8).held.values, a.held.values)
  t.throws(() => holdOut({ ...data, count: 1 }, 7), { code: 'DATA_INVALID' })
  await t.resolves(requireDistinct(a.rest, a.held))
  await t.rejects(requireDistinct(data, a.held), { code: 'DATA_SHARED' })
})
