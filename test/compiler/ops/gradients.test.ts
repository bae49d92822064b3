import { Graph, node } from '@espalier/server/compiler/graph/index.js'
import { flatOperators, withoutGradient } from '@espalier/server/compiler/ops/gradients/index.js'
import { Builder, fullName, type OpDefinition, operators } from '@espalier/server/compiler/ops/index.js'
import { differentiate } from '@espalier/server/compiler/train/differentiate.js'
import t from 'tap'

/** Forms of old operator sets that `train/upgrade` turns into newer ones. */
const replaced = new Set(['Scatter', 'Upsample'])

const kindsOf = (o: OpDefinition): string[] => [
  ...(o.gradient || o.lowering ? ['has a gradient'] : []),
  ...(fullName(o) in flatOperators ? ['has none by nature'] : []),
  ...(fullName(o) in withoutGradient ? ['lacks one'] : []),
  ...(replaced.has(fullName(o)) ? ['is replaced'] : []),
]

t.test('every described operator has a gradient, has none by nature, or lacks one and says why', (t) => {
  const names = operators.map(fullName)
  t.same(
    operators
      .filter((o) => kindsOf(o).length !== 1)
      .map((o) => `${fullName(o)}: ${kindsOf(o).join(', ') || 'nothing'}`),
    [],
  )
  t.same(
    [...Object.keys(flatOperators), ...Object.keys(withoutGradient)].filter((name) => !names.includes(name)),
    [],
    'and nothing else is listed',
  )
  t.end()
})

t.test('an operator that lacks a gradient is named where one is asked for, and with the reason', (t) => {
  for (const [name, reason] of Object.entries(withoutGradient)) {
    const [domain, op] = name.startsWith('com.microsoft.') ? ['com.microsoft', name.slice(14)] : ['', name]
    const graph = new Graph({
      name: 'case',
      nodes: [node('Identity', ['w'], ['h']), node(op, ['h'], ['y'], {}, { domain, name: 'the odd one' })],
      initializers: new Map(),
      inputs: [{ name: 'w', dtype: 'float32', dims: [1, 2] }],
      outputs: [{ name: 'y', dtype: 'float32', dims: null }],
      values: new Map(),
      opsets: new Map([['', 18]]),
      metadata: new Map(),
    })
    const sizes = { dims: new Map([['w', [1, 2]]]), types: new Map(), constants: new Map() }
    try {
      differentiate(graph, sizes, new Map([['y', 'dy']]), ['w'], new Builder('g/'))
      t.fail(`${name} was differentiated`)
    } catch (error) {
      t.match(error, { code: 'GRADIENT_UNKNOWN' }, name)
      const { message } = error as Error
      t.ok(
        ['the odd one', name, reason].every((part) => message.includes(part)),
        message,
      )
    }
  }
  t.end()
})
