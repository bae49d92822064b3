import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'
import { plain } from '../zoo/index.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])

t.test('--svg draws; a path that cannot be written leaves nothing behind', async (t) => {
  const folder = t.testdir()
  const at = (name: string) => join(folder, name)
  const file = at('model.onnx')
  await writeModelFile(plain(), file)
  await espalier('inspect', file, '--svg', at('dense.svg'))
  t.match(readFileSync(at('dense.svg'), 'utf8'), /^<svg [\s\S]*model\.onnx[\s\S]*<\/svg>\n$/)
  await espalier('prune', file, '-o', at('out.onnx'), '--keep', '0.5', '--svg', at('out.svg'))
  t.match(readFileSync(at('out.svg'), 'utf8'), /^<svg [\s\S]*8 → 4<\/text>[\s\S]*<\/svg>\n$/)

  const nowhere = at('none/x.svg')
  const prune = (svg: string) =>
    espalier('prune', file, '-o', at('second.onnx'), '--keep', '0.5', '--svg', svg)
  await t.rejects(prune(nowhere), {
    code: 1,
    stderr: /cannot write '.*x\.svg': the folder .* is not there \(WRITE_FAILED\)/,
  })
  t.notOk(existsSync(at('second.onnx')))
  await t.rejects(espalier('inspect', file, '--svg', nowhere), { code: 1, stderr: /WRITE_FAILED/ })
  await t.rejects(prune(at('second.onnx')), { code: 2, stderr: /model and drawing cannot both be/ })
})
