import { type Dataset, random } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import {
  criteria,
  fisher,
  movement,
  obd,
  taylor,
  weightCriteria,
  weightScores,
} from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import { curvatures, movements, withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'
import { rankCorrelation } from '../../support/rank-correlation.js'

const count = 192
const next = random(2)
const labels = Int32Array.from({ length: count }, (_, i) => i % 4)
/** Noise with a bright quadrant, which is the class; not all can be told. */
const data: Dataset = {
  spec: 'quadrants',
  count,
  dims: [1, 12, 12],
  labels,
  values: Float32Array.from({ length: count * 144 }, (_, i) => {
    const [row, column] = [Math.floor((i % 144) / 12), i % 12]
    const bright = (row >= 6 ? 2 : 0) + (column >= 6 ? 1 : 0) === labels[Math.floor(i / 144)]
    return next() * 2 - 1 + (bright ? 0.7 : 0)
  }),
}

const fresh = convNetwork([8, 16], 4)
const { constants } = await trainHere(fresh, data, { epochs: 12, batch: 32, lr: 0.01 }, { on: () => {} })
const network = withConstants(fresh, constants)
const loss = async (graph: Graph) => (await evaluate(graph, data)).loss ?? 0
const before = await loss(network)

/** The network with some elements of its constants at zero. */
function without(slices: readonly { tensor: string; axis: number; indices: readonly number[] }[]): Graph {
  const changed = new Map<string, Tensor>()
  for (const { tensor, axis, indices } of slices) {
    const { dims, data } = changed.get(tensor) ?? network.constant(tensor)!
    const inner = dims.slice(axis + 1).reduce((n, d) => n * d, 1)
    changed.set(
      tensor,
      floats(
        dims,
        (data as Float32Array).map((v, i) => (indices.includes(Math.floor(i / inner) % dims[axis]) ? 0 : v)),
      ),
    )
  }
  return withConstants(network, changed)
}

t.test('criteria of the loss rank units as removing each of them changes the loss', async (t) => {
  const { coupling } = await prunable(network)
  const truth: number[] = []
  for (const { units } of coupling.groups)
    for (const unit of units) truth.push((await loss(without(unit.slices))) - before)
  const flat = (scores: readonly Float64Array[]) =>
    scores.slice(0, coupling.groups.length).flatMap((s) => [...s])
  const options = { samples: count }
  const found = {
    taylor: rankCorrelation(truth, flat(await taylor(coupling, data, { ...options, across: true }))),
    fisher: rankCorrelation(truth, flat(await fisher(coupling, data, options))),
    obd: rankCorrelation(truth, flat(await obd(coupling, data, options))),
    random: rankCorrelation(truth, flat(criteria.random(coupling))),
  }
  t.comment(found)
  for (const name of ['taylor', 'fisher'] as const) t.ok(found[name] > 0.9, `${name}: ${found[name]}`)
  // A unit's weights act together, which a diagonal leaves out.
  t.ok(found.obd > 0.35, `obd: ${found.obd}`)
  t.ok(found.random < 0.3, `random: ${found.random}`)
})

t.test('criteria of weights rank them as setting each to zero changes the loss', async (t) => {
  const weights = [...(await weightScores('magnitude', network)).keys()]
  const places = weights.flatMap((name) => {
    const size = network.constant(name)!.data.length
    return Array.from({ length: Math.min(60, size) }, () => ({ name, at: Math.floor(next() * size) }))
  })
  const truth: number[] = []
  for (const { name, at } of places) {
    const { dims, data } = network.constant(name)!
    const changed = Float32Array.from(data as Float32Array, (v, i) => (i === at ? 0 : v))
    truth.push((await loss(withConstants(network, new Map([[name, floats(dims, changed)]])))) - before)
  }
  // What is gained by removing a weight is change, too: each criterion is about its size.
  const change = truth.map(Math.abs)
  const found = new Map<string, number>()
  for (const name of Object.keys(weightCriteria) as (keyof typeof weightCriteria)[]) {
    const scores = await weightScores(name, network, data, { samples: count })
    found.set(
      name,
      rankCorrelation(
        change,
        places.map((p) => scores.get(p.name)![p.at]),
      ),
    )
  }
  t.comment(Object.fromEntries(found))
  for (const name of ['fisher', 'obd', 'magnitude'])
    t.ok(found.get(name)! > 0.5, `${name}: ${found.get(name)}`)
  t.ok(found.get('random')! < 0.3)
})

t.test('for the last layer the derived diagonal is the Hessian’s own', async (t) => {
  const [second] = (await curvatures(network, data, new Set(['w3']), { samples: count })).values()
  const { dims, data: w } = network.constant('w3')!
  const at = async (place: number, by: number) =>
    loss(
      withConstants(
        network,
        new Map([
          [
            'w3',
            floats(
              dims,
              (w as Float32Array).map((v, i) => (i === place ? v + by : v)),
            ),
          ],
        ]),
      ),
    )
  for (const place of [0, 9, 21, 40, 63]) {
    const step = 0.2
    const measured = ((await at(place, step)) + (await at(place, -step)) - 2 * before) / step ** 2
    t.ok(Math.abs(second[place] - measured) < 0.03 * measured + 1e-4, `${second[place]} = ${measured}`)
  }
})

t.test('movement sums −w · ∂L/∂w over a training, and leaves the network as it is', async (t) => {
  const kept = [...(network.constant('w2')!.data as Float32Array)]
  const steps = 12
  const sums = await movements(network, data, { steps, seed: 3 })
  t.same([...(network.constant('w2')!.data as Float32Array)], kept)
  // By small steps of plain descent Σ −lr · w · ∂L/∂w is what half the square of a weight grows by.
  const how = { optimizer: 'sgd', momentum: 0, lr: 1e-3, schedule: 'constant', warmup: 0, clip: 0 } as const
  const { constants: after } = await trainHere(
    network,
    data,
    { ...how, batch: 32, maxSteps: steps, epochs: 2, seed: 3 },
    { on: () => {} },
  )
  const now = after.get('w2')!.data as Float32Array
  const grown = kept.map((w, i) => (now[i] ** 2 - w ** 2) / 2)
  t.ok(rankCorrelation(grown, sums.get('w2')!) > 0.9, `${rankCorrelation(grown, sums.get('w2')!)}`)
  const { coupling } = await prunable(network)
  const scores = await movement(coupling, data, { steps, seed: 3 })
  t.same(
    scores.map((s) => s.length),
    [...coupling.groups.map((g) => g.units.length), coupling.blocks.length],
  )
  t.ok(scores.every((s) => s.every((v) => v >= 0 && Number.isFinite(v))))
  const { labels: _, ...bare } = data
  await t.rejects(movement(coupling, bare), { code: 'DATA_UNLABELLED' })
})

t.test('what second derivatives cannot pass is named', async (t) => {
  const odd = network.with({
    nodes: network.nodes.map((n) => (n.outputs[0] === 'r1' ? { ...n, op: 'Softmax', name: 'odd' } : n)),
  })
  await t.rejects(curvatures(odd, data, new Set(['w1']), { samples: 32 }), {
    code: 'GRADIENT_UNKNOWN',
    message: /'odd'.*Softmax.*fisher/,
  })
})
