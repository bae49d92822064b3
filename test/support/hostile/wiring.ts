import { create } from '@bufbuild/protobuf'
import { type ModelProto, NodeProtoSchema, ValueInfoProtoSchema } from 'onnx-buf'
import { below, pick } from './bytes.js'
import { type Change, graphOf, nodeOf } from './parts.js'

const oddNames = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'a\nb',
  '\x1b[31mred',
  'x'.repeat(1_000_000),
  'ü'.repeat(9),
  '\u0000',
  '../..',
  '@',
  'NaN',
  '0',
]

function rename(model: ModelProto, from: string, to: string): void {
  const g = graphOf(model)
  const change = (list: string[]) => list.map((v) => (v === from ? to : v))
  for (const n of g.node) {
    n.input = change(n.input)
    n.output = change(n.output)
  }
  for (const v of [...g.input, ...g.output, ...g.initializer, ...g.valueInfo])
    if (v.name === from) v.name = to
}

/** Which values there are, what they are called, and who makes and reads them. */
export const wiring = {
  cycle: (m, r) => {
    const [a, b] = [nodeOf(m, r), nodeOf(m, r)]
    if (a.input.length > 0) a.input[below(r, a.input.length)] = pick(r, b.output)
  },
  'value made twice': (m, r) => {
    const [a, b] = [nodeOf(m, r), nodeOf(m, r)]
    b.output[0] = r() < 0.5 ? a.output[0] : pick(r, [...graphOf(m).input, ...graphOf(m).initializer]).name
  },
  'declared twice': (m, r) => {
    const g = graphOf(m)
    const again = <T>(list: T[]) => void (list.length > 0 && list.push(pick(r, list)))
    const n = nodeOf(m, r)
    pick(r, [
      () => again(g.initializer),
      () => again(g.input),
      () => again(g.output),
      () => again(g.valueInfo),
      () => again(g.node),
      () => again(m.opsetImport),
      () => again(n.attribute),
    ])()
  },
  'missing value': (m, r) => {
    const n = nodeOf(m, r)
    if (n.input.length > 0) n.input[below(r, n.input.length)] = 'nowhere'
  },
  'inputs moved': (m, r) => {
    const n = nodeOf(m, r)
    const way = below(r, 5)
    if (way === 0) n.input.reverse()
    else if (way === 1) n.input.pop()
    else if (way === 2) n.input.push(pick(r, graphOf(m).initializer).name)
    else if (way === 3 && n.input.length > 0) n.input[below(r, n.input.length)] = ''
    else n.input = Array.from({ length: below(r, 300) }, () => n.input[0] ?? '')
  },
  'outputs moved': (m, r) => {
    const way = below(r, 4)
    const n = nodeOf(m, r)
    if (way === 0) n.output.push('extra')
    else if (way === 1) n.output = []
    else if (way === 2) n.output[0] = ''
    else
      graphOf(m).output.push(create(ValueInfoProtoSchema, { name: pick(r, graphOf(m).node).output[0] ?? '' }))
  },
  'odd name': (m, r) => {
    const g = graphOf(m)
    rename(m, pick(r, [...g.input, ...g.output, ...g.initializer]).name, pick(r, oddNames))
    if (r() < 0.3) nodeOf(m, r).name = pick(r, oddNames)
    if (r() < 0.2) nodeOf(m, r).opType = pick(r, oddNames)
  },
  'many nodes': (m, r) => {
    const g = graphOf(m)
    let last = g.input[0]?.name ?? ''
    for (let k = pick(r, [100, 1_000, 4_000, 60_000]); k > 0; k--) {
      g.node.push(create(NodeProtoSchema, { opType: 'Identity', input: [last], output: [`many${k}`] }))
      last = `many${k}`
    }
  },
  'nothing left': (m, r) => {
    const g = graphOf(m)
    const what = pick(r, ['node', 'initializer', 'input', 'output'] as const)
    g[what] = []
  },
} satisfies Record<string, Change>
