import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadDataset } from '@espalier/server/compiler/data/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { parseRecipe, type Recipe, readRecipe } from '@espalier/server/compiler/recipe.js'
import { fit } from '@espalier/server/compiler/recipes/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'
import { stripes } from '../../support/stripes.js'

/** A network that knows its data, with many channels that it does not need. */
async function subject(dir: string, recipe: Recipe) {
  const model = join(dir, 'net.onnx')
  const data = await stripes(dir, 'train', 400, 1)
  const fresh = convNetwork([16, 32], 3)
  const samples = await loadDataset(fresh, data)
  const { constants } = await trainHere(fresh, samples, { epochs: 6, batch: 32, lr: 0.01 }, { on: () => {} })
  await writeModelFile(withConstants(fresh, constants), model)
  return { model, out: join(dir, 'out'), data, eval: await stripes(dir, 'test', 120, 2), seed: 1, recipe }
}

t.test('iterative: rounds go on while the allowance holds, and the last that held is returned', async (t) => {
  const recipe = parseRecipe(
    '{"schedule":"iterative","criterion":"l1","keep":0.4,"allowance":0.05,"rounds":6,"epochs":1,"multiple":1}',
    'r',
  )
  const options = await subject(t.testdir(), recipe)
  const { dense, variants } = await fit({ ...options, variants: [{}] }, () => {})
  const [{ name, rounds = [], macs, file, recipe: words }] = variants
  t.equal(name, 'net-iterative')
  t.ok(rounds.length >= 1 && rounds.length < 6, `${rounds.length} rounds held`)
  for (const [i, r] of rounds.entries()) {
    t.ok(r.macs <= 0.4 * (rounds[i - 1]?.macs ?? 1) + 1e-9, `round ${r.round}: ${r.macs}`)
    t.ok((r.top1 ?? 0) >= 0.9)
  }
  t.match(words, /iterative.*allowance was spent.*l1/)
  t.ok(Math.abs(macs / dense.macs - (rounds.at(-1)?.macs ?? 1)) < 1e-9)
  const top1 = (
    await evaluate(await readModelFile(file), await loadDataset(await readModelFile(file), options.eval))
  ).top1
  t.equal(top1, variants[0].top1)
  t.same(JSON.parse(readFileSync(join(options.out, 'recipe.json'), 'utf8')), recipe)
  t.match(readFileSync(join(options.out, 'report.md'), 'utf8'), /--recipe .*recipe\.json/)
  t.notOk(existsSync(join(options.out, '.rounds')), 'what was kept to resume is gone')
})

t.test('gradual: the limit is reached by the cubic schedule, in as many rounds as said', async (t) => {
  const recipe = parseRecipe(
    '{"schedule":"gradual","rounds":3,"epochs":1,"multiple":1,"criterion":"l2"}',
    'r',
  )
  const options = await subject(t.testdir(), recipe)
  const { dense, variants } = await fit({ ...options, variants: [{ macs: 0.3 }] }, () => {})
  const [{ rounds = [], macs }] = variants
  t.equal(rounds.length, 3)
  for (const [i, r] of rounds.entries()) {
    const aim = 0.3 + 0.7 * (1 - (i + 1) / 3) ** 3
    t.ok(r.macs <= aim && r.macs > 0.7 * aim, `round ${i + 1}: ${r.macs} of ${aim}`)
  }
  t.ok(macs <= 0.3 * dense.macs)
})

t.test('recipes in rounds refuse what they cannot aim at', async (t) => {
  const recipe = parseRecipe('{"schedule":"gradual","epochs":0}', 'r')
  const options = await subject(t.testdir(), recipe)
  await t.rejects(
    fit({ ...options, variants: [{ memoryBytes: 1e9 }] }, () => {}),
    {
      code: 'OPTION_INVALID',
      message: /shares of MACs or parameters/,
    },
  )
  await t.rejects(
    fit({ ...options, variants: [{}] }, () => {}),
    { code: 'OPTION_INVALID' },
  )
  t.notOk(existsSync(join(options.out, 'report.md')))
})

t.test('a recipe file is checked, and the first thing that is wrong is named', async (t) => {
  for (const file of readdirSync('docs/recipes').filter((f) => f.endsWith('.json')))
    t.ok((await readRecipe(join('docs/recipes', file))).schedule, file)
  for (const [text, message] of [
    ['{', /is no JSON/],
    ['[]', /needs a schedule: one-shot, gradual, iterative/],
    ['{"schedule":"sometimes"}', /needs a schedule/],
    ['{"schedule":"one-shot","allowance":0.1}', /'allowance', which it does not know.*depth/],
    ['{"schedule":"iterative","keep":1}', /\/keep/],
    ['{"schedule":"gradual","training":{"optimizer":"lion"}}', /\/training\/optimizer/],
    ['{"schedule":"gradual","training":{"rate":1}}', /'training\/rate'.*momentum/],
    ['{"schedule":"gradual","criterion":"luck"}', /\/criterion/],
  ] as const)
    t.throws(() => parseRecipe(text, 'mine.json'), { code: 'RECIPE_INVALID', message }, text)
  await t.rejects(readRecipe('none.json'), { code: 'FILE_NOT_FOUND' })
})
