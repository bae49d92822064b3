import { sampleInput, xorshift } from '@espalier/server/compiler/analysis/index.js'
import { batchOf, type Dataset } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, numbersOf } from '@espalier/server/compiler/graph/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'

/** Largest difference of two networks' outputs over random inputs, as a multiple of 1e-4 · scale + 1e-6. */
export async function gapBetween(
  a: Graph,
  b: Graph,
  shapes: Readonly<Record<string, readonly number[]>>,
  { inputs = 3, seed = 1 } = {},
): Promise<number> {
  const [one, two] = [await openSession(a), await openSession(b)]
  const random = xorshift(seed)
  let gap = 0
  for (let k = 0; k < inputs; k++) {
    const feeds = Object.fromEntries(
      a.inputs.map((v) => [v.name, sampleInput(v, shapes[v.name], () => random() * 2 - 1)]),
    )
    const [x, y] = [await run(one, feeds), await run(two, feeds)]
    for (const [name, t] of Object.entries(x)) {
      const [p, q] = [numbersOf(t), numbersOf(y[name])]
      const scale = p.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
      p.forEach((v, i) => {
        const d = Math.abs(v - q[i]) / (1e-4 * scale + 1e-6)
        if (!(d <= gap)) gap = d
      })
    }
  }
  await one.release()
  await two.release()
  return gap
}

/** The first output of a network for all of some data, as one array. */
export async function outputsOn(graph: Graph, data: Dataset): Promise<number[]> {
  const session = await openSession(graph)
  try {
    const x = floats([data.count, ...data.dims], (await batchOf(data, 0, data.count)) as Float32Array)
    const outputs = await run(session, { [graph.inputs[0].name]: x })
    return numbersOf(outputs[graph.outputs[0].name])
  } finally {
    await session.release()
  }
}
