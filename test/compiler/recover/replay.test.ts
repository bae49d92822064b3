import { recover } from '@espalier/server/compiler/recover/index.js'
import { openPart } from '@espalier/server/compiler/recover/part.js'
import { Replay } from '@espalier/server/compiler/recover/replay.js'
import { batchesOf } from '@espalier/server/compiler/recover/samples.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { outputsOn } from '../../support/compare.js'
import { noise } from '../../support/noise.js'
import { architectures } from '../../zoo/index.js'

/** The largest difference, as a share of the largest value. */
const gapOf = (got: ArrayLike<number>, wanted: ArrayLike<number>) => {
  let [gap, scale] = [0, 0]
  for (let i = 0; i < wanted.length; i++) {
    gap = Math.max(gap, Math.abs(got[i] - wanted[i]))
    scale = Math.max(scale, Math.abs(wanted[i]))
  }
  return gap / scale
}

/** Residual sums, channels split and shuffled, gates, heads. */
const kinds = architectures.filter((a) =>
  ['ResNet pre-activation', 'ShuffleNet 2', 'MobileNet 3', 'ViT'].includes(a.name),
)

for (const { name, make } of kinds) {
  const graph = make()
  const dims = graph.inputs[0].dims?.slice(1).map(Number) ?? []

  t.test(
    `${name}: values computed on from kept ones are the network's, within the room there is`,
    async (t) => {
      const batches = batchesOf(graph, noise(dims, 20))
      const layers = graph.nodes.filter((n) => ['Conv', 'MatMul', 'Add', 'Relu'].includes(n.op))
      const asked = layers.map((n) => [n.outputs[0], ...(graph.producer(n.inputs[0]) ? [n.inputs[0]] : [])])
      const whole = await openPart(graph, asked.flat())
      const runs = Array.from({ length: batches.count }, async (_, b) => whole.run(await batches.feeds(b)))
      const wanted = await Promise.all(runs)
      await whole.release()

      /** How far off values are at most, and how many bytes were kept at once, where there is room for so many. */
      const replayed = async (bytes: number) => {
        const room = { left: bytes }
        const replay = new Replay(batches, room)
        let [gap, least] = [0, bytes]
        for (const [i, names] of asked.entries()) {
          const opened = await replay.open(graph, names, asked.slice(i + 1).flat())
          for (let b = 0; b < batches.count; b++) {
            const got = await opened.run(b)
            least = Math.min(least, room.left)
            for (const v of names)
              gap = Math.max(gap, gapOf(got[v].data as Float32Array, wanted[b][v].data as Float32Array))
          }
          await opened.close()
        }
        t.ok(least >= 0, 'no more was kept than there was room for')
        t.equal(room.left, bytes, 'in the end all is given back')
        return { gap, kept: bytes - least }
      }
      const ample = await replayed(2 ** 40)
      const scarce = await replayed(Math.floor(0.3 * ample.kept))
      const none = await replayed(0)
      t.ok(ample.gap < 1e-5 && scarce.gap < 1e-5 && none.gap < 1e-5)
      t.ok(scarce.kept > 0 && scarce.kept < ample.kept && none.kept === 0)
    },
  )

  t.test(`${name}: repair that keeps no values from layer to layer comes to the same`, async (t) => {
    const subject = await prunable(graph)
    const removed = keepShare(subject.coupling, criteria.l2(subject.coupling), { share: 0.5 })
    const small = pruned(subject, removed)
    const data = noise(dims, 40)
    const repaired = async (options = {}) => recover(subject.coupling, removed, small, data, options)
    const [fast, slow] = [await repaired(), await repaired({ keepBytes: 0 })]
    t.ok(Math.abs(fast.errorAfter / slow.errorAfter - 1) < 1e-3, `${fast.errorAfter}, ${slow.errorAfter}`)
    const gap = gapOf(await outputsOn(fast.graph, data), await outputsOn(slow.graph, data))
    t.ok(gap < 1e-3, `gap ${gap}`)
  })
}
