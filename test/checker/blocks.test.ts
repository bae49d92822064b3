import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Unit } from '@espalier/server/compiler/analysis/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { type Prunable, planOf, prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures } from '../zoo/index.js'
import { check, type Plan } from './check.js'

const dynamic = [
  [1, 7],
  [3, 12],
]

async function files(folder: string, subject: Prunable, removed: ReadonlySet<Unit>) {
  const [original, after] = [join(folder, 'original.onnx'), join(folder, 'pruned.onnx')]
  await writeModelFile(subject.original, original)
  await writeModelFile(pruned(subject, removed), after)
  return { original, after, plan: planOf(subject, removed) as Plan }
}

const resnet20 = '../shared/models/resnet20-cifar10.onnx'
const networks = new Map(architectures.map((a) => [a.name, async () => a.make()]))

for (const name of ['ResNet basic', 'ResNet pre-activation', 'BERT fused', 'int8 QDQ', 'ResNet-20']) {
  const make = networks.get(name) ?? (() => readModelFile(resnet20))
  const absent = !networks.has(name) && !existsSync(resnet20) && `${resnet20} is not there`
  t.test(`${name}: blocks and channels gone are what the plan says`, { skip: absent }, async (t) => {
    const subject = await prunable(await make())
    const { coupling } = subject
    const channels = keepShare(coupling, criteria.random(coupling, { seed: 3 }), { share: 0.6 })
    const removed = new Set<Unit>([...coupling.blocks.filter((_, i) => i % 2 === 0), ...channels])
    const { original, after, plan } = await files(t.testdir(), subject, removed)
    const { faults, gap } = await check(original, after, plan, { inputs: 3, dynamic })
    t.same(faults, [], `gap ${gap}`)
    t.ok(
      Object.values(plan).some((kept) => kept[0]?.length === 0),
      'the plan keeps nothing of the ends of the branches',
    )
  })
}

t.test('a plan that names another block, or none, does not pass', async (t) => {
  const make = networks.get('ResNet pre-activation')
  if (!make) throw new Error('the zoo has a pre-activated ResNet')
  const subject = await prunable(await make())
  const [one, other] = subject.coupling.blocks
  const { original, after } = await files(t.testdir(), subject, new Set([one]))
  const faultsOf = async (plan: Plan) =>
    (await check(original, after, plan, { inputs: 2, dynamic })).faults.join()
  t.match(await faultsOf(planOf(subject, [other])), /is there, though the plan keeps nothing of it/)
  t.match(await faultsOf({}), /outputs differ/, 'what is missing without a plan matters')
})
