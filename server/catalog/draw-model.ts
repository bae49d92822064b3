import { serve } from '../child/index.js'
import { captureShapes } from '../compiler/analysis/index.js'
import { draw, type Seen } from '../compiler/drawing/index.js'
import { readModelFile } from '../compiler/onnx/index.js'

export interface ToDraw {
  readonly title: string
  readonly before: string
  readonly after?: string
}

/** Runs in a child process: draws a network, or one before and after pruning, from files that nobody vouches for. */
serve(async ({ title, before, after }: ToDraw): Promise<string> => {
  const dense = await seen(before)
  return draw(title, dense, after === undefined ? undefined : await seen(after))
})

async function seen(path: string): Promise<Seen> {
  const graph = await readModelFile(path)
  return { graph, shapes: await captureShapes(graph) }
}
