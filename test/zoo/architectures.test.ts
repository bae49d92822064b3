import { writeFileSync } from 'node:fs'
import { constants } from '@espalier/server/compiler/analysis/index.js'
import { elementCount } from '@espalier/server/compiler/graph/index.js'
import { readModel, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { type Prunable, planOf, prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t, { type Test } from 'tap'
import { check } from '../checker/check.js'
import { architectures } from './index.js'
import { agreementOf } from './oracle.js'

const floating = new Set(['float32', 'float64', 'float16', 'bfloat16'])
/** Networks that also go through a file and the checker that shares nothing with the compiler. */
const checked = new Set([
  'MobileNet 3',
  'ShuffleNet 2',
  'YOLO CSP',
  'ViT',
  'U-Net',
  'several inputs and outputs',
])

t.test('there are thirty architectures or more, each with a peculiarity of its own', async (t) => {
  t.ok(architectures.length >= 30, `${architectures.length}`)
  t.equal(new Set(architectures.map((a) => a.peculiarity)).size, architectures.length)
})

for (const { name, peculiarity, make } of architectures) {
  t.test(`${name} (${peculiarity})`, async (t) => {
    const subject = await prunable(make())
    const { coupling } = subject
    t.ok(coupling.groups.length > 0, 'it can be pruned')
    t.same(untouched(subject), [], 'every weight is sliced by a unit or left whole for a reason')
    for (const w of coupling.whole) t.ok(w.reason && w.operator, `${w.tensor}: ${w.operator}: ${w.reason}`)
    for (const { label, units } of coupling.groups) {
      const kinds = units.map((u) => u.slices.map((s) => `${s.tensor}/${s.axis}×${s.indices.length}`).join())
      t.equal(new Set(kinds).size, 1, `units of ${label} are alike`)
    }
    for (const [share, seed] of [
      [0.7, 1],
      [0.4, 2],
    ]) {
      const removed = keepShare(coupling, criteria.random(coupling, { seed }), { share })
      const { gap, varies } = await agreementOf(subject, removed, { seed })
      t.ok(gap <= 1, `keeping ${share}: gap ${gap}`)
      t.ok(varies, `keeping ${share}: the outputs depend on the inputs`)
    }
    if (checked.has(name)) await throughFiles(t, subject)
  })
}

async function throughFiles(t: Test, subject: Prunable): Promise<void> {
  const { coupling, original } = subject
  const removed = keepShare(coupling, criteria.l1(coupling), { share: 0.5 })
  const folder = t.testdir()
  const [before, after] = [`${folder}/original.onnx`, `${folder}/pruned.onnx`]
  writeFileSync(before, writeModel(original))
  writeFileSync(after, writeModel(pruned(subject, removed)))
  const again = readModel(writeModel(pruned(subject, removed)))
  t.equal(again.nodes.length, pruned(subject, removed).nodes.length, 'it survives being written and read')
  const plan = planOf(subject, removed)
  t.same((await check(before, after, plan, { inputs: 2 })).faults, [], 'the independent checker agrees')
  const swapped = await check(before, after, plan, { swap: true, inputs: 2 })
  t.not(swapped.faults.length, 0, 'and sees two slices exchanged')
}

function untouched({ coupling }: Prunable): string[] {
  const known = new Set([
    ...coupling.groups.flatMap((g) => g.units.flatMap((u) => u.slices.map((s) => s.tensor))),
    ...coupling.whole.map((w) => w.tensor),
  ])
  return [...constants(coupling.graph)]
    .filter(([name, t]) => floating.has(t.dtype) && elementCount(t.dims) > 1 && !known.has(name))
    .filter(([name]) => coupling.graph.uses(name) > 0)
    .map(([name]) => name)
}
