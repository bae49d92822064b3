import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BudgetUnreachable, costsWithout, floor } from '@espalier/server/compiler/budget/index.js'
import { latencyModel } from '@espalier/server/compiler/latency/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { type FitOptions, fit, type Progress, profile } from '@espalier/server/compiler/recipes/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'
import { stripes } from '../../support/stripes.js'

/** Wide enough that a limit far from the network and from its floor stays between them, whatever else the machine does. */
const graph = convNetwork([128, 256], 3)
const { coupling } = await prunable(graph)
const { times } = await profile(graph, { round: 32 })
const expect = { latency: latencyModel(times, coupling) }
const ofDense = costsWithout(coupling, [], expect).costs.latency
const least = floor(coupling, expect).costs.latency
const limit = least + (ofDense - least) / 3

async function subject(dir: string): Promise<FitOptions & { profile: string; out: string }> {
  const options = { model: join(dir, 'net.onnx'), out: join(dir, 'out'), profile: join(dir, 'here.json') }
  await writeModelFile(graph, options.model)
  await writeFile(options.profile, JSON.stringify(times))
  const data = await stripes(dir, 'train', 90, 1)
  return { ...options, data, variants: [{ latencyMs: limit }], epochs: 0, seed: 1 }
}

t.test('a variant is measured until its median query holds the limit, which the result names', async (t) => {
  const options = await subject(t.testdir())
  const seen: Progress[] = []
  const { variants, dense } = await fit(options, (p) => seen.push(p))
  const [v] = variants
  t.ok(v.p50Ms <= limit, `${v.p50Ms} of ${limit} ms`)
  t.equal(v.bound, 'latency')
  t.same(v.limits, { latencyMs: limit })
  t.ok(v.macs < dense.macs && v.saliency < 1, 'something went for it')
  t.ok(v.expectedMs !== null && v.expectedMs >= least && v.expectedMs < ofDense)
  t.ok(seen.some((p) => p.variant === v.name && /latency of a candidate/.test(p.message ?? '')))
  t.match(v.name, /^net-[\d.]+ms$/)
  t.match(
    await readFile(join(options.out, 'report.md'), 'utf8'),
    /\| latency \|[\s\S]*--latency [\s\S]*--profile /,
  )
})

t.test(
  'with the profile of another machine the limit holds as expected, and nothing is measured for it',
  async (t) => {
    const options = await subject(t.testdir())
    const slow = {
      ...times,
      machine: 'a small board',
      scale: 1000 * times.scale,
      queryMs: 1000 * times.queryMs,
    }
    await writeFile(options.profile, JSON.stringify(slow))
    const messages: (string | undefined)[] = []
    const { variants } = await fit({ ...options, variants: [{ latencyMs: 1000 * limit }] }, (p) =>
      messages.push(p.message),
    )
    const [v] = variants
    t.equal(v.bound, 'latency')
    t.ok(
      v.expectedMs !== null && v.expectedMs <= 1000 * limit && v.expectedMs > 500 * limit,
      `${v.expectedMs}`,
    )
    t.notOk(messages.some((m) => /latency of a candidate/.test(m ?? '')))
    t.match(v.recipe, /latency as expected of a small board/)
  },
)

t.test('where a machine is faster than its table says, more is kept than the table allows', async (t) => {
  const options = await subject(t.testdir())
  const slow = { ...times, scale: 3 * times.scale, queryMs: 3 * times.queryMs }
  await writeFile(options.profile, JSON.stringify(slow))
  const { variants } = await fit(options, () => {})
  t.ok(variants[0].p50Ms <= limit, `${variants[0].p50Ms} of ${limit} ms`)
})

t.test(
  'where nothing holds the limit as measured, what was asked is named, and the least that was measured',
  async (t) => {
    const options = await subject(t.testdir())
    const fast = { ...times, scale: times.scale / 1000, queryMs: times.queryMs / 1000 }
    await writeFile(options.profile, JSON.stringify(fast))
    const asked = limit / 1000
    const thrown: unknown = await fit({ ...options, variants: [{ latencyMs: asked }] }, () => {}).then(
      () => undefined,
      (e: unknown) => e,
    )
    t.match(thrown, { code: 'BUDGET_UNREACHABLE', resource: 'latency', asked })
    t.ok(thrown instanceof BudgetUnreachable && thrown.least > 2 * asked)
    t.notOk((await readdir(options.out)).some((name) => name.endsWith('.onnx')))
  },
)

t.test('a latency that nobody can meet is refused before anything is trained or written', async (t) => {
  const options = await subject(t.testdir())
  const refused = async (
    change: Partial<FitOptions>,
    expected: { code: string; resource?: string; message?: RegExp },
  ) => {
    const stages = new Set<string>()
    await t.rejects(
      fit({ ...options, epochs: 1, ...change }, (p) => stages.add(p.stage)),
      expected,
    )
    t.notOk(stages.has('train'))
    t.notOk(existsSync(options.out))
  }
  await refused(
    { variants: [{ latencyMs: times.queryMs / 2 }] },
    { code: 'BUDGET_UNREACHABLE', resource: 'latency', message: /least that this network can be brought to/ },
  )
  await refused({ profile: undefined }, { code: 'OPTION_INVALID', message: /--profile/ })
  await refused({ profile: join(options.out, 'none') }, { code: 'FILE_NOT_FOUND' })
  await refused({ profile: options.model }, { code: 'MESSAGE_INVALID' })
  await refused({ variants: [{ latencyMs: -1 }] }, { code: 'OPTION_INVALID' })
})

t.test(
  'four kinds of limits hold together on the command line, and the one that bound is named',
  async (t) => {
    const { model, data, profile: file } = await subject(t.testdir())
    await writeFile(file, JSON.stringify({ ...times, machine: 'a small board' }))
    const { size } = await stat(model)
    const fitted = async (artifact: number, macs: number) => {
      const out = join(t.testdirName, `out-${macs}`)
      const limits = [
        ...['--memory', '50MB', '--artifact', `${artifact}`],
        ...['--macs', `${macs}`, '--latency', `${0.99 * ofDense}`, '--profile', file],
      ]
      const words = ['fit', model, ...limits, '--data', data, '-o', out, '--epochs', '0', '--json']
      const run = await promisify(execFile)(process.execPath, ['server/dist/cli/main.js', ...words])
      const { dense: whole, variants } = JSON.parse(run.stdout)
      const [v] = variants
      t.ok(v.measuredRamBytes <= 50e6 && v.artifactBytes <= artifact && v.macs <= macs * whole.macs)
      t.ok(v.expectedMs <= 0.99 * ofDense)
      return { bound: v.bound, report: await readFile(join(out, 'report.md'), 'utf8') }
    }
    t.match(await fitted(Math.round(size / 3), 0.9), { bound: 'artifact', report: /\| artifact \|/ })
    t.match(await fitted(2 * size, 0.2), { bound: 'macs', report: /\| macs \|/ })
  },
)
