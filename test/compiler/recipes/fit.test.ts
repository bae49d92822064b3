import { existsSync, readdirSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { loadDataset } from '@espalier/server/compiler/data/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import {
  type FitOptions,
  fit,
  type Progress,
  type VariantResult,
} from '@espalier/server/compiler/recipes/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'
import { stripes } from '../../support/stripes.js'

async function subject(dir: string): Promise<FitOptions> {
  const model = join(dir, 'net.onnx')
  await writeModelFile(convNetwork([32, 64], 3), model)
  return {
    model,
    out: join(dir, 'out'),
    data: await stripes(dir, 'train', 400, 1),
    eval: await stripes(dir, 'test', 120, 2),
    variants: [{ macs: 0.5 }],
    epochs: 4,
    seed: 1,
  }
}

t.test('fit writes variants that meet their limits, figures of them, and a report', async (t) => {
  const options = await subject(t.testdir())
  const seen: Progress[] = []
  const result = await fit(
    { ...options, variants: [{ macs: 0.5 }, { memoryBytes: 50e6, params: 0.4 }, { macs: 1 }] },
    (p) => seen.push(p),
  )
  const { dense, variants } = result
  t.ok(variants[0].macs <= dense.macs / 2 && variants[0].macs > dense.macs * 0.35)
  t.ok(variants[1].params <= dense.params * 0.4)
  t.ok(variants[1].measuredRamBytes <= 50e6)
  t.equal(variants[0].bound, 'macs')
  t.match(variants[1].unused, /params/, 'why a large budget stays unused is said')
  for (const v of variants) {
    t.equal(v.fileBytes, (await stat(v.file)).size)
    const graph = await readModelFile(v.file)
    const again = await evaluate(graph, await loadDataset(graph, options.eval!))
    t.equal(again.top1, v.top1, 'the accuracy is that of the file, whose preprocessing it carries')
    t.ok(v.top1! >= 0.9, `${v.name} learned: ${v.top1}`)
    t.equal(v.memory.processes, 5)
  }
  t.ok(
    dense.top1Reference! >= 0.9 && dense.top1! < 0.7,
    'the untrained network, and the same given the recipe',
  )
  t.equal(
    variants[2].top1Pruned,
    dense.top1Reference,
    'what is thinned is the network that the recipe made better',
  )
  const report = await readFile(join(options.out, 'report.md'), 'utf8')
  t.equal(report, result.report)
  for (const part of ['## What was kept', '## Accuracy by class', 'espalier fit', variants[0].name])
    t.match(report, part)
  const { frontier } = result
  t.ok(frontier.length >= 5 && frontier[frontier.length - 1].saliency === 1)
  t.ok(frontier.every((p, i) => i === 0 || p.memoryBytes > frontier[i - 1].memoryBytes))
  t.match(report, /further MB[\s\S]*frontier\.svg/)
  t.match(await readFile(join(options.out, 'frontier.svg'), 'utf8'), /^<svg[\s\S]*polyline[\s\S]*<\/svg>\n$/)
  for (const v of variants)
    t.match(v.recipe, /multiples of (4|8|16|2|1);.* the dense network, so trained, as teacher/)
  t.ok(seen.some((p) => p.variant === variants[0].name && /channel counts run fastest/.test(p.message ?? '')))
  const stages = new Set(seen.map((p) => p.stage))
  for (const stage of ['read', 'saliency', 'measure', 'train', 'evaluate']) t.ok(stages.has(stage), stage)
  t.same(
    readdirSync(options.out).filter((f) => f.startsWith('.')),
    [],
    'nothing is left lying about',
  )
})

t.test('with no share for the teacher, the labels alone teach', async (t) => {
  const dir = t.testdir()
  const options = { ...(await subject(dir)), epochs: 1, round: 8 }
  const [taught, alone] = [
    await fit({ ...options, out: join(dir, 'taught') }, () => {}),
    await fit({ ...options, out: join(dir, 'alone'), training: { teacherShare: 0 } }, () => {}),
  ]
  t.match(taught.variants[0].recipe, /as teacher/)
  t.notMatch(alone.variants[0].recipe, /teacher/)
  t.match(alone.report, /--teacher-share 0/)
  t.not(alone.variants[0].loss, taught.variants[0].loss)
  t.equal(alone.dense.lossReference, taught.dense.lossReference, 'which the reference learns from anyway')
})

t.test('an interrupted run goes on where it was, and leaves what was finished', async (t) => {
  const options = { ...(await subject(t.testdir())), epochs: 1, variants: [{ macs: 0.6 }, { macs: 0.3 }] }
  const stop = new AbortController()
  const on = (p: Progress) => {
    if (p.variant === 'net-macs30') stop.abort(new Error('enough'))
  }
  await t.rejects(fit(options, on, stop.signal))
  t.ok(existsSync(join(options.out, 'net-macs60.onnx')))
  t.notOk(existsSync(join(options.out, 'net-macs30.onnx')))
  const trained = new Set<string | undefined>()
  const result = await fit(options, (p) => p.stage === 'train' && trained.add(p.variant))
  t.same([...trained], ['net-macs30'], 'only what was missing is trained')
  t.equal(result.variants.length, 2)
  const { variants } = await fit({ ...options, out: `${options.out}-2`, variants: [{ macs: 0.3 }] }, () => {})
  t.match(variants[0].recipe, /so trained/)
  const told = ({ recipe, loss }: VariantResult) => ({ recipe, loss })
  t.same(told(result.variants[1]), told(variants[0]), 'by the teacher that the interrupted run had trained')
})

t.test('what cannot be done is refused before anything is written', async (t) => {
  const options = await subject(t.testdir())
  const refused = (change: Partial<FitOptions>, code: string) =>
    t.rejects(
      fit({ ...options, ...change }, () => {}),
      { code },
    )
  await refused({ variants: [] }, 'OPTION_INVALID')
  await refused({ variants: [{ macs: 1.5 }] }, 'OPTION_INVALID')
  await refused({ criterion: 'magic' }, 'OPTION_INVALID')
  await refused({ eval: options.data }, 'DATA_SHARED')
  t.notOk(existsSync(options.out))
  await refused({ variants: [{ macs: 1e-9 }], epochs: 0 }, 'BUDGET_UNREACHABLE')
  t.notOk(existsSync(options.out))
})

t.test(
  'a budget that cannot be met is refused by the measured floor, before anything is trained',
  async (t) => {
    const options = await subject(t.testdir())
    for (const limits of [{ memoryBytes: 1000 }, { macs: 1e-6 }, { artifactBytes: 500 }]) {
      const stages: string[] = []
      await t.rejects(
        fit({ ...options, variants: [{ macs: 0.5 }, limits] }, (p) => stages.push(p.stage)),
        { code: 'BUDGET_UNREACHABLE' },
      )
      t.notOk(stages.includes('train'), JSON.stringify(limits))
    }
    t.notOk(existsSync(options.out), 'and leaves nothing')
  },
)

t.test('a file is no larger than its limit, which the result names as the one that bound', async (t) => {
  const options = { ...(await subject(t.testdir())), epochs: 0 }
  const artifactBytes = Math.round((await stat(options.model)).size / 2)
  const { variants } = await fit({ ...options, variants: [{ macs: 0.9, artifactBytes }] }, () => {})
  const [v] = variants
  t.ok((await stat(v.file)).size <= artifactBytes)
  t.ok(v.artifactBytes > artifactBytes * 0.8, `${v.artifactBytes} of ${artifactBytes}`)
  t.equal(v.bound, 'artifact')
  t.ok(v.saliency > 0 && v.saliency < 1)
})

t.test('a run that ends before it has kept anything leaves no folder that it made', async (t) => {
  const dir = t.testdir({ there: {}, file: '' })
  const options = { ...(await subject(dir)), epochs: 0 }
  const endsMeasuring = (out: string) => {
    const stop = new AbortController()
    const on = (p: Progress) => void (p.stage === 'measure' && stop.abort(new Error('enough')))
    return t.rejects(fit({ ...options, out: join(dir, out) }, on, stop.signal), { message: 'enough' })
  }
  await endsMeasuring('a/b/out')
  t.notOk(existsSync(join(dir, 'a')))
  await endsMeasuring('there/out')
  t.same(readdirSync(join(dir, 'there')), [])
  await endsMeasuring('there')
  t.ok(existsSync(join(dir, 'there')), 'what was there before stays')
  await t.rejects(
    fit({ ...options, out: join(dir, 'file') }, () => {}),
    { code: 'WRITE_FAILED', message: /file/ },
  )
})

t.test('a variant is in its place once it is finished, and not before', async (t) => {
  const options = { ...(await subject(t.testdir())), epochs: 0 }
  const stop = new AbortController()
  const on = (p: Progress) => void (p.variant && p.stage === 'measure' && stop.abort(new Error('enough')))
  await t.rejects(fit(options, on, stop.signal), { message: 'enough' })
  t.match(readdirSync(options.out), [/^\.unfinished-.*\.json$/], 'only what resuming needs')
  t.equal(readdirSync(options.out).length, 1)
})
