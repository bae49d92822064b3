import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset } from '@espalier/server/compiler/data/index.js'
import { random } from '@espalier/server/compiler/data/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { FolderShelf, sparseLayers, ticket, ticketPlot } from '@espalier/server/compiler/recipes/index.js'
import { freshWeights, train } from '@espalier/server/compiler/train/index.js'
import t from 'tap'
import { hiddenNetwork } from '../../support/networks.js'

const next = random(1)
/** Two classes by the sign of a product: a hidden layer is needed. */
const clouds = (count: number): Dataset => {
  const values = Float32Array.from({ length: count * 6 }, () => next() * 2 - 1)
  const labels = Int32Array.from({ length: count }, (_, i) => (values[i * 6] * values[i * 6 + 1] > 0 ? 1 : 0))
  return { spec: 'clouds', count, dims: [6], values, labels }
}
const options = {
  data: clouds(512),
  judge: clouds(256),
  sparsity: 0.75,
  rounds: 2,
  epochs: 8,
  training: { lr: 0.02, batch: 32 },
  seed: 4,
  rewind: 5,
}
const network = freshWeights(hiddenNetwork(['n', 6], 32, 2), 1)
const values = (g: Graph, name: string) => [...(g.constant(name)!.data as Float32Array)]

const whole = await ticket(network, options)

t.test('each round keeps the largest weights and sets them back to an early step', async (t) => {
  const { rounds, ticket: found, trained } = whole
  const how = { ...options.training, epochs: 8, seed: 4, until: 5 }
  const { graph: early } = await train(network, options.data, how)
  t.notSame(values(early, 'w'), values(network, 'w'))
  t.equal(rounds.length, 3)
  t.equal(rounds[0].sparsity, 0)
  t.ok(Math.abs(rounds[2].sparsity - 0.75) < 0.01, `${rounds[2].sparsity}`)
  t.ok(rounds[1].sparsity > 0.45 && rounds[1].sparsity < 0.55)
  for (const name of ['w', 'v']) {
    const [began, kept, end] = [values(early, name), values(found, name), values(trained, name)]
    t.ok(
      kept.every((v, i) => v === 0 || v === began[i]),
      `${name}: where it began`,
    )
    t.ok(
      kept.every((v, i) => (v === 0) === (end[i] === 0)),
      `${name}: zeros stay`,
    )
    t.notSame(kept, end)
  }
  const [first, last] = sparseLayers(found).map((l) => l.zeros / l.weights)
  t.ok(last < first, `the last layer thins more slowly: ${last} and ${first}`)
  t.ok((rounds[2].top1Ticket ?? 0) > 0.8, `${JSON.stringify(rounds)}`)
  t.match(ticketPlot(rounds), /^<svg[\s\S]*ticket[\s\S]*<\/svg>/)
})

t.test('stopped, it goes on where it was, to the same figures', async (t) => {
  const folder = join(t.testdir(), 'work')
  const controller = new AbortController()
  const open = () => FolderShelf.open(folder, 'this experiment')
  const stopping = ticket(network, options, (name) => name === 'random-1' && controller.abort(), {
    shelf: await open(),
    signal: controller.signal,
  })
  await t.rejects(stopping, { code: 'INTERRUPTED' })
  t.ok(readdirSync(join(folder, readdirSync(folder)[0])).includes('ticket-1.onnx'))
  const done: string[] = []
  const shelf = await open()
  const resumed = await ticket(network, options, (name) => done.push(name), { shelf })
  t.notOk(done.includes('ticket-1'), 'what was finished is not done again')
  t.same(resumed.rounds, whole.rounds)
  await shelf.clear()
  t.notOk(existsSync(folder))
})

t.test('an experiment that is none is refused', async (t) => {
  await t.rejects(ticket(network, { ...options, sparsity: 1 }), { code: 'OPTION_INVALID' })
  await t.rejects(ticket(network, { ...options, rounds: 0 }), { code: 'OPTION_INVALID' })
  const { labels: _, ...unlabelled } = options.judge
  await t.rejects(ticket(network, { ...options, judge: unlabelled }), { code: 'DATA_UNLABELLED' })
})
