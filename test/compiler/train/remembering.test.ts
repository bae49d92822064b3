import { type Dataset, random } from '@espalier/server/compiler/data/index.js'
import { toRuntime } from '@espalier/server/compiler/runtime/index.js'
import { Feeder } from '@espalier/server/compiler/train/feeder.js'
import type { Guide } from '@espalier/server/compiler/train/goal.js'
import type { TrainOptions } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { remembering } from '@espalier/server/compiler/train/remembering.js'
import { teacherOf } from '@espalier/server/compiler/train/teacher.js'
import type * as ort from 'onnxruntime-node'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const next = random(5)
const count = 205
const batch = 16
const perEpoch = Math.floor(count / batch)
const data: Dataset = {
  ...{ spec: 'noise', count, dims: [1, 12, 12] },
  values: Float32Array.from({ length: count * 144 }, () => next() * 2 - 1),
  labels: Int32Array.from({ length: count }, (_, i) => i % 5),
}
const graph = convNetwork([4, 6], 5)
const plan = { batch, outputs: 5, input: graph.inputs[0].name, noise: [] }

/** How often the teacher is asked in some epochs, and the largest difference of what is then fed from what it answers. */
async function asked(options: TrainOptions, epochs: number, samples: Dataset = data) {
  const teacher = await teacherOf(graph, batch, samples, {
    classes: 5,
    what: 'logits',
    answer: graph.outputs[0].name,
  })
  let times = 0
  const counting: Guide = Object.assign(
    (...given: Parameters<Guide>) => {
      times++
      return teacher(...given)
    },
    { release: () => teacher.release() },
  )
  const guide = remembering(counting, samples, options, plan, epochs)
  const feeder = new Feeder(samples, options, plan)
  let off = 0
  for (let step = 0; step < epochs * perEpoch; step++) {
    const drawn = await feeder.write(step)
    const feeds: Record<string, ort.Tensor> = {}
    for (const [name, fed] of feeder.fed) feeds[name] = toRuntime(fed)
    const [wanted, given] = [await teacher(feeds, drawn), await guide(feeds, drawn)]
    for (const [name, { data, dims }] of Object.entries(wanted)) {
      t.same(given[name].dims, dims)
      for (const [i, v] of (data as Float32Array).entries())
        off = Math.max(off, Math.abs(v - Number(given[name].data[i])))
    }
  }
  await guide.release()
  return { times, off }
}

t.test('a teacher is asked once about a sample and its mirror image, and what it said is fed', async (t) => {
  const left = count - perEpoch * batch
  const flipped = await asked({ seed: 1, flip: true }, 6)
  t.ok(flipped.times >= 2 * perEpoch && flipped.times <= 2 * (perEpoch + left), `${flipped.times} times`)
  t.ok(flipped.off < 1e-5, `${flipped.off}`)
  const plain = await asked({ seed: 1 }, 4)
  t.ok(plain.times >= perEpoch && plain.times <= perEpoch + left, `${plain.times} times`)
  t.ok(plain.off < 1e-5, `${plain.off}`)
})

t.test('it is asked each time where that is no more, or where what it sees is never the same', async (t) => {
  for (const [options, epochs] of [
    [{ flip: true }, 2],
    [{}, 1],
    [{ flip: true, shift: 1 }, 3],
    [{ colour: 0.1 }, 3],
    [{ mixup: 0.5 }, 3],
  ] as const) {
    const { times, off } = await asked({ seed: 1, ...options }, epochs)
    t.equal(times, epochs * perEpoch, JSON.stringify(options))
    t.equal(off, 0)
  }
})

t.test('a run taken up in a later epoch comes to the same weights', async (t) => {
  const options: TrainOptions = { epochs: 5, batch, seed: 2, flip: true, teacher: { graph } }
  const student = convNetwork([3, 4], 5, 7)
  let saved: Parameters<typeof trainHere>[3]['resume']
  const whole = await trainHere(student, data, options, {
    on: () => {},
    between: (state) => {
      if (state().step === 2 * perEpoch + 3) saved = state()
    },
  })
  const resumed = await trainHere(student, data, options, { on: () => {}, resume: saved })
  t.equal(saved?.step, 2 * perEpoch + 3)
  for (const [name, tensor] of whole.constants) t.same(resumed.constants.get(name)?.data, tensor.data, name)
})
