import { EspalierError } from '@espalier/shared'
import type * as ort from 'onnxruntime-node'
import type { Graph } from '../graph/index.js'
import { openSession } from '../runtime/index.js'

/**
 * What to say of a step whose loss or gradients are no numbers: runs it again with every value exposed, and names the
 * first that is not finite.
 * @param graph the training graph; `samples` are those of the batch by their place in the data, `feeds` what it was run with
 */
export async function diverged(
  graph: Graph,
  feeds: Readonly<Record<string, ort.Tensor>>,
  { step, loss, lr, samples }: { step: number; loss: number; lr: number; samples: Uint32Array },
): Promise<EspalierError> {
  const where = (await firstWrong(graph, feeds, samples)) ?? 'no single value is to blame'
  return new EspalierError(
    'TRAINING_DIVERGED',
    `training diverged at step ${step + 1}: the loss is ${loss} at a learning rate of ${lr.toPrecision(2)}; ${where}; ` +
      'try a tenth of the learning rate, or look for values that are not numbers in the data',
  )
}

async function firstWrong(
  graph: Graph,
  feeds: Readonly<Record<string, ort.Tensor>>,
  samples: Uint32Array,
): Promise<string | undefined> {
  for (const [name, value] of Object.entries(feeds)) {
    const at = wrongAt(value)
    if (at < 0) continue
    const number = (value.data as Float32Array)[at]
    if (name !== graph.inputs[0].name) return `'${name}' holds ${number} at position ${at}`
    const sample = Math.floor(at / (value.data.length / samples.length))
    return `sample ${samples[sample]} of the data holds ${number}`
  }
  const names = graph.nodes.flatMap((n) => n.outputs.filter((o) => o !== ''))
  const exposed = graph.with({ outputs: names.map((name) => ({ name, dtype: 'other', dims: null })) })
  const session = await openSession(exposed, { optimize: false })
  try {
    const results = await session.run(feeds)
    for (const n of graph.nodes) {
      const name = n.outputs.find((o) => o !== '' && wrongAt(results[o]) >= 0)
      if (!name) continue
      const number = (results[name].data as Float32Array)[wrongAt(results[name])]
      return `the first ${number} is in '${name}', made by ${n.op}${n.name ? ` of node '${n.name}'` : ''}`
    }
  } finally {
    await session.release()
  }
  return undefined
}

/** Where a float tensor is not finite first; -1 if nowhere. */
const wrongAt = (value: ort.Tensor): number =>
  value.type === 'float32' ? (value.data as Float32Array).findIndex((v) => !Number.isFinite(v)) : -1
