import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { errorCodes } from '@espalier/shared'
import t from 'tap'
import { trials } from '../support/hostile/trials.js'

const worker = pathToFileURL(resolve('.build/test/support/hostile/worker.js'))
const bounds = { memoryBytes: 2 ** 30, timeMs: 60_000 }

/** What a hostile file may end in; INTERNAL, a crash and a limit of time are not among them. */
const foreseen = new Set<string>(
  errorCodes.filter((c) => /^(MODEL_|NOT_ONNX|EXTERNAL_|DIMENSION_|WEIGHT_|MEMORY_LIMIT)/.test(c)),
)

/** Seeds that ended otherwise once, with what was wrong. */
const found = [
  2400, // a Conv of onnxruntime's own layout read beyond its inputs
  3474, // the same, of another network
  4676, // a Range of two inputs
  8606, // a Range of one
  15_828, // sizes that a Reshape follows, shown as an output too
  16_385, // an operator named like half a regular expression
]

t.test('two hundred hostile files end in a code that says what is wrong, or are pruned', async (t) => {
  const codes = new Map<string, number>()
  const seeds = [...found, ...Array.from({ length: 200 }, (_, i) => 100_001 + i)]
  for await (const { seed, kind, base, code, message } of trials(seeds, worker, bounds)) {
    codes.set(code, (codes.get(code) ?? 0) + 1)
    if (code !== 'OK' && !foreseen.has(code)) t.fail(`seed ${seed}: ${kind} of ${base}: ${code} ${message}`)
    if (/\n\s+at /.test(message)) t.fail(`seed ${seed} shows a stack`)
  }
  t.ok(codes.size >= 5, `many codes: ${JSON.stringify([...codes])}`)
})
