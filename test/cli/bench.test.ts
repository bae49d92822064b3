import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'
import { flatNetwork } from '../support/networks.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])

t.test('bench --json prints latency and memory', async (t) => {
  const file = join(t.testdir(), 'a.onnx')
  await writeModelFile(flatNetwork(['n', 8], 3), file)
  const { stdout } = await espalier('bench', file, '--seconds', '0.5', '--json')
  const result = JSON.parse(stdout)
  for (const key of ['runs', 'p50Ms', 'measuredRamBytes', 'runtimeBaseBytes', 'processBytes'])
    t.type(result[key], 'number', key)
  t.ok(result.runs > 662 ? result.p99Ms >= result.p50Ms : result.p99Ms === null)
})

t.test('bench says what cannot be measured: status 1, and 2 for wrong usage', async (t) => {
  await t.rejects(espalier('bench', 'none.onnx'), { code: 1, stderr: /none\.onnx.*\(FILE_NOT_FOUND\)/ })
  await t.rejects(espalier('bench', 'none.onnx', '--threads', 'x'), { code: 2 })
})
