import { readFileSync } from 'node:fs'
import { random } from '@espalier/server/compiler/data/index.js'
import { elementCount } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { toRuntime } from '@espalier/server/compiler/runtime/index.js'
import { openStep } from '@espalier/server/compiler/train/blocks.js'

/** Bytes that this process takes more for three steps of a training graph, inputs included, and the fastest step's time. */
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024

const graph = await readModelFile(process.argv[2])
const session = await openStep(graph)
const before = peak()
const draw = random(1)
const feeds = Object.fromEntries(
  graph.inputs.map(({ name, dtype, dims }) => {
    const shape = (dims ?? []) as number[]
    const size = elementCount(shape)
    const data =
      dtype === 'int64'
        ? new BigInt64Array(size)
        : Float32Array.from({ length: size }, () => 0.2 * draw() - 0.1)
    return [name, toRuntime({ dtype, dims: shape, data })]
  }),
)
let ms = Number.POSITIVE_INFINITY
for (let i = 0; i < 3; i++) {
  const used = process.cpuUsage()
  const results = await session.run(feeds)
  const { user, system } = process.cpuUsage(used)
  ms = Math.min(ms, (user + system) / 1000)
  for (const result of Object.values(results)) result.dispose()
}
console.log(JSON.stringify({ bytes: peak() - before, ms }))
