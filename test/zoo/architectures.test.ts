import { constants } from '@espalier/server/compiler/analysis/index.js'
import { elementCount } from '@espalier/server/compiler/graph/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { type Prunable, prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures } from './index.js'
import { agreementOf } from './oracle.js'

const floating = new Set(['float32', 'float64', 'float16', 'bfloat16'])

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
  })
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
