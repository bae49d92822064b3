import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'
import { convNetwork } from '../support/networks.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])

/** An idx file of random bytes. */
const idx = (dims: number[], byte: (i: number) => number) => {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header.writeUInt16BE(0x800 + dims.length, 2)
  for (const [i, d] of dims.entries()) header.writeUInt32BE(d, 4 + 4 * i)
  const values = Array.from({ length: dims.reduce((n, d) => n * d, 1) }, (_, i) => byte(i))
  return Buffer.concat([header, Buffer.from(values)])
}

t.test('fit --json prints dense and variants with the keys of the contract', async (t) => {
  const dir = t.testdir()
  const at = (name: string) => join(dir, name)
  await writeModelFile(convNetwork([16, 32], 3), at('net.onnx'))
  await writeFile(
    at('x'),
    idx([40, 12, 12], (i) => (i * 7919) % 256),
  )
  await writeFile(
    at('y'),
    idx([40], (i) => i % 3),
  )
  const data = `idx:${at('x')},${at('y')}`
  const limits = ['--memory', '40MB', '--macs', '0.5']
  const { stdout } = await espalier(
    ...['fit', at('net.onnx'), ...limits, '--data', data, '-o', at('out'), '--epochs', '0', '--json'],
  )
  const { dense, variants } = JSON.parse(stdout)
  t.equal(variants.length, 1, 'both limits are of one variant')
  const [v] = variants
  for (const key of ['macs', 'params', 'fileBytes', 'artifactBytes', 'predictedRamBytes', 'measuredRamBytes'])
    t.ok(v[key] > 0, key)
  for (const key of ['top1', 'agreement', 'p50Ms']) t.type(v[key], 'number', key)
  for (const key of ['file', 'recipe']) t.type(v[key], 'string', key)
  t.equal(v.memoryBudgetBytes, 40e6)
  t.ok(v.macs <= dense.macs / 2)
  t.equal(dense.n, 4, 'without --eval accuracy is that of the tenth held out')
})

t.test('wrong usage of fit ends with status 2 and says what is wrong', async (t) => {
  const usage = (...args: string[]) =>
    t.rejects(espalier('fit', 'm.onnx', '--data', 'npz:x', '-o', 'out', ...args), { code: 2 }, args.join(' '))
  await usage()
  await usage('--macs', '2')
  await usage('--memory', '4XB')
  await usage('--macs', '0.5', '--criterion', 'magic')
  await usage('--macs', '0.5', '--optimizer', 'lbfgs')
  await usage('--macs', '0.5', '0.6', '--params', '0.1', '0.2', '0.3')
  await t.rejects(espalier('fit', 'm.onnx', '--data', 'npz:x', '-o', 'out', '--macs', '0.5'), {
    code: 1,
    stderr: /m\.onnx.*FILE_NOT_FOUND/,
  })
})
