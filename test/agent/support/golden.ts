import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeasuringProcess } from '@espalier/shared/measure/index.js'
import type { Golden } from '@espalier/shared/messages/index.js'
import type { TestModel } from './models.js'

const child = new URL(import.meta.resolve('@espalier/agent/measure/child.js'))

/** The models with what they answer, as a compilation finds it out; `folder` is for their files. */
export async function withGolden(models: readonly TestModel[], folder: string): Promise<TestModel[]> {
  const found: TestModel[] = []
  for (const { bytes, variant } of models) {
    const path = join(folder, `${variant.name}.onnx`)
    writeFileSync(path, bytes)
    found.push({ bytes, variant: { ...variant, golden: await answerOf(path) } })
  }
  return found
}

async function answerOf(path: string): Promise<Golden> {
  const measuring = await MeasuringProcess.start({ child })
  try {
    await measuring.load(path)
    return await measuring.golden()
  } finally {
    measuring.close()
  }
}

/** Whether `current/` is one of these models, and answers as it does. */
export async function answers(state: string, known: readonly TestModel[]): Promise<boolean> {
  try {
    const { digest } = JSON.parse(readFileSync(join(state, 'current', 'manifest.json'), 'utf8'))
    const model = known.find(({ variant }) => variant.digest === digest)
    const found = await answerOf(join(state, 'current', 'model.onnx'))
    return JSON.stringify(found) === JSON.stringify(model?.variant.golden)
  } catch {
    return false
  }
}
