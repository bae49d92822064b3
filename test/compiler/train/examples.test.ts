import { fullName, operators } from '@espalier/server/compiler/ops/index.js'
import t from 'tap'
import { slopes } from '../../support/slopes.js'
import { architectures } from '../../zoo/index.js'
import { attention } from '../ops/examples/attending.js'
import { linear } from '../ops/examples/linear.js'
import { moving } from '../ops/examples/moving.js'
import { normal } from '../ops/examples/normal.js'
import { pointwise } from '../ops/examples/pointwise.js'
import { recurrent } from '../ops/examples/recurrent.js'
import { reducing } from '../ops/examples/reducing.js'
import type { Examples } from '../ops/examples/through.js'

const examples: Examples = {
  ...attention,
  ...linear,
  ...moving,
  ...normal,
  ...pointwise,
  ...recurrent,
  ...reducing,
}

/** They jump where the weights move a value across a bound: only walking within one side shows the slope. */
const jumping = new Set(['Mod', 'Shrink', 'ThresholdedRelu', 'Where'])

for (const o of operators.filter(
  (o) => (o.gradient || o.lowering) && examples[fullName(o)] && !jumping.has(o.op),
))
  t.test(`networks with ${fullName(o)}: the gradient of all weights is the slope`, async (t) => {
    for (const { graph } of examples[fullName(o)]) {
      const { expected, walked, size, weights } = await slopes(graph)
      t.ok(weights.length > 0, 'something is trained')
      t.ok(Math.abs(expected - walked) <= 0.02 * size + 1e-3, `${walked} = ${expected}, of ${size}`)
    }
  })

/** It keeps as many boxes as the data say: no loss of a fixed shape. */
const sizedByData = new Set(['SSD'])

for (const { name, make } of architectures.filter((a) => !sizedByData.has(a.name)))
  t.test(`${name}: the gradient of all weights is the slope`, async (t) => {
    const { expected, walked, size, weights } = await slopes(make(), { step: 1e-4 })
    t.ok(
      Math.abs(expected - walked) <= 0.03 * size + 1e-3,
      `${walked} = ${expected}, of ${size}, ${weights.length} weights`,
    )
  })
