import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { holdOut, loadDataset } from '@espalier/server/compiler/data/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { convNetwork } from '../../support/networks.js'
import { noise } from '../../support/noise.js'

const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024

const [, , spec, memory] = process.argv
const small = convNetwork([4, 8], 10)
const graph = small.with({ inputs: [{ ...small.inputs[0], dims: ['n', 1, 128, 128] }] })
const options = { batch: 32, seed: 1, epochs: 1, maxSteps: 40, shift: 2 }
const few = { ...noise([1, 128, 128], 64), labels: Int32Array.from({ length: 64 }, (_, i) => i % 10) }
await trainHere(graph, few, { ...options, epochs: 2 }, { on: () => {} })
const baseBytes = peak()
const { rest, held } = holdOut(await loadDataset(graph, spec, { memory: Number(memory) }), 1)
const { constants, history } = await trainHere(graph, rest, options, { on: () => {} })
const { loss } = await evaluate(graph, held)
const hash = createHash('sha256').update(String(loss))
for (const { data } of constants.values())
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
const { imagesPerSecond } = history
console.log(JSON.stringify({ peakBytes: peak(), baseBytes, imagesPerSecond, weights: hash.digest('hex') }))
