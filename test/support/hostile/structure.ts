import { giants } from './giants.js'
import { inputs } from './inputs.js'
import { operators } from './operators.js'
import type { Change } from './parts.js'
import { tensors } from './tensors.js'
import { wiring } from './wiring.js'

const known = { ...giants, ...inputs, ...tensors, ...wiring, ...operators }

/** A seed picks by the place in this list: a new one goes last, so that seeds keep their files as far as they can. */
const order: readonly (keyof typeof known)[] = [
  'giant input',
  'odd input size',
  'weight of another shape',
  'weight of no elements',
  'giant constant',
  'cycle',
  'value made twice',
  'declared twice',
  'missing value',
  'inputs moved',
  'outputs moved',
  'another element type',
  'input of another type',
  'attributes of another node',
  'attribute of another type',
  'attribute of another value',
  'another operator',
  'another domain',
  'another opset',
  'whole numbers changed',
  'no numbers',
  'data elsewhere',
  'data of a subgraph elsewhere',
  'deep nesting',
  'odd name',
  'many nodes',
  'sparse weight',
  'function that calls itself',
  'dimension unsaid',
  'nothing left',
]

/** Ways to damage a model by what it says, each with a file that any reader of the format accepts. */
export const changes: Readonly<Record<string, Change>> = Object.fromEntries(
  order.map((name) => [name, known[name]]),
)
