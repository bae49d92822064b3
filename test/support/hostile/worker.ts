import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readModelFile, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { asEspalierError } from '@espalier/shared'
import { mutant } from './mutant.js'

/** What came of one mutant. `code` is OK where it was pruned. */
export interface Fate {
  readonly seed: number
  readonly code: string
  readonly message: string
  readonly ms: number
  /** Of the process so far, at its largest. */
  readonly residentBytes: number
}

export type FromWorker = { readonly base: string; readonly kind: string } | Fate

/** Takes seeds, one after another: makes the mutant a file and puts it through what a user's file goes through. */
const folder = mkdtempSync(join(tmpdir(), 'espalier-mutant-'))
const path = join(folder, 'model.onnx')
process.on('exit', () => rmSync(folder, { recursive: true }))
const tell = (message: FromWorker) => process.send?.(message)

process.on('message', async (seed: number) => {
  const { base, kind, bytes } = mutant(seed)
  writeFileSync(path, bytes)
  tell({ base, kind })
  const start = performance.now()
  const fate = (code: string, message: string) =>
    tell({
      seed,
      code,
      message,
      ms: performance.now() - start,
      residentBytes: process.resourceUsage().maxRSS * 1024,
    })
  try {
    const { graph } = await prune(await readModelFile(path), { keep: 0.5, check: true })
    writeModel(graph)
    fate('OK', '')
  } catch (thrown) {
    const { code, message } = asEspalierError(thrown)
    const unforeseen = code === 'INTERNAL' && thrown instanceof Error
    fate(code, unforeseen ? `${thrown.stack}` : message)
  }
})
