import { captureShapes } from '@espalier/server/compiler/analysis/index.js'
import { kindOf } from '@espalier/server/compiler/latency/single.js'
import { readModel } from '@espalier/server/compiler/onnx/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { MeasuringProcess, timeAlone } from '@espalier/shared/measure/index.js'
import { machineOperators } from '@espalier/shared/measure/machine-operators.js'
import { smallModel } from '@espalier/shared/measure/small-models.js'
import t from 'tap'

const operators = machineOperators()
/** The first of every kind, and one in so many. */
const some = operators.filter(
  ({ op, kind }, i) => i % 60 === 0 || operators.findIndex((o) => o.op === op && o.kind === kind) === i,
)

t.test('an operator is named in a table as the compiler names it in a network', async (t) => {
  const seen = new Set<string>()
  for (const subject of some) {
    const graph = readModel(smallModel(subject.input, [subject]))
    const [node] = graph.nodes
    const { dims } = await captureShapes(graph)
    const sizes = [...node.inputs, node.outputs[0]].map((name) => [...(dims.get(name) ?? [])])
    const { op, kind, input, twice, constants = [], output } = subject
    t.same({ op: node.op, kind: kindOf(node) }, { op, kind })
    t.same(sizes, [input, ...(twice ? [input] : []), ...constants, output], `${op} ${kind}`)
    seen.add(op)
  }
  for (const op of ['Conv', 'GlobalAveragePool', 'MaxPool', 'Gemm', 'MatMul']) t.ok(seen.has(op), op)
})

t.test('operators are timed alone, and one that does not run is left out', async (t) => {
  const process = await MeasuringProcess.start({ child: measuringChild })
  t.teardown(() => process.close())
  const conv = operators.find((o) => o.op === 'Conv' && o.constants?.[0][0] === 256 && o.output[2] === 14)
  const models = [
    smallModel([1, 16], [{ op: 'Relu' }]),
    smallModel([1, 16], [{ op: 'NoSuchOperator' }]),
    smallModel(conv?.input ?? [], conv ? [conv] : []),
  ]
  const told: number[] = []
  const { queryMs, ms } = await timeAlone(process, models.length, (i) => models[i], {
    on: (done) => told.push(done),
  })
  t.ok(queryMs > 0)
  t.equal(ms[1], null)
  t.ok(Number(ms[2]) > Number(ms[0]), `${ms}`)
  t.same(told, [0])
})
