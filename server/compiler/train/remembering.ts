import * as ort from 'onnxruntime-node'
import { BatchReader, staysOnDisk } from '../data/index.js'
import { toRuntime } from '../runtime/index.js'
import type { Drawn, Plan } from './feeder.js'
import type { Guide } from './goal.js'
import type { Samples, TrainOptions } from './options.js'

/** Most that the answers of a run may take. */
const MOST_BYTES = 64e6

/** What a teacher gave under one name: a row for each sample as it is, and one for its mirror image where there is one. */
interface Table {
  /** Without the batch. */
  readonly dims: readonly number[]
  readonly width: number
  readonly rows: Float32Array
}

/**
 * The teacher, asked only once about a sample and its mirror image, where it is asked more often and nothing else changes what it
 * sees: its answers are kept. The first epoch asks about both, so later ones need no teacher but for the few samples that the
 * first left out.
 */
export function remembering(
  guide: Guide,
  data: Samples,
  options: TrainOptions,
  plan: Plan,
  epochs: number,
): Guide {
  const { shift = 0, flip = false, colour = 0, mixup = 0 } = options
  const views = flip ? 2 : 1
  const isMoved = shift > 0 || colour > 0 || mixup > 0
  if (isMoved || epochs <= views || staysOnDisk(data)) return guide
  const { batch } = plan
  const known = new Uint8Array(data.count * views)
  const tables = new Map<string, Table>()
  const other = new BatchReader(data, batch, plan.input)
  const rowOf = ({ indices, mirrored }: Drawn, i: number) => indices[i] * views + mirrored[i]
  let isTooMuch = false

  const keep = (answers: Record<string, ort.Tensor>, drawn: Drawn) => {
    if (tables.size === 0) {
      const wide = Object.values(answers).reduce((sum, { data }) => sum + data.length / batch, 0)
      isTooMuch =
        Object.values(answers).some(({ dims }) => dims[0] !== batch) || wide * known.length * 4 > MOST_BYTES
      if (isTooMuch) return
      for (const [name, { dims, data }] of Object.entries(answers)) {
        const width = data.length / batch
        tables.set(name, { dims: dims.slice(1), width, rows: new Float32Array(known.length * width) })
      }
    }
    for (const [name, { width, rows }] of tables) {
      const given = answers[name].data as Float32Array
      for (let i = 0; i < batch; i++)
        rows.set(given.subarray(i * width, (i + 1) * width), rowOf(drawn, i) * width)
    }
    for (let i = 0; i < batch; i++) known[rowOf(drawn, i)] = 1
  }

  const recalled = (drawn: Drawn) => {
    const answers: Record<string, ort.Tensor> = {}
    for (const [name, { dims, width, rows }] of tables) {
      const values = new Float32Array(batch * width)
      for (let i = 0; i < batch; i++) {
        const from = rowOf(drawn, i) * width
        values.set(rows.subarray(from, from + width), i * width)
      }
      answers[name] = new ort.Tensor('float32', values, [batch, ...dims])
    }
    return answers
  }

  const asked = async (feeds: Readonly<Record<string, ort.Tensor>>, drawn: Drawn) => {
    if (isTooMuch) return guide(feeds, drawn)
    if (drawn.indices.every((_, i) => known[rowOf(drawn, i)] === 1)) return recalled(drawn)
    const answers = await guide(feeds, drawn)
    keep(answers, drawn)
    if (flip && !isTooMuch) {
      const opposite = { ...drawn, mirrored: drawn.mirrored.map((m) => 1 - m) }
      let i = 0
      await other.read(drawn.indices, (write) =>
        write({ dx: 0, dy: 0, mirror: opposite.mirrored[i++] === 1 }),
      )
      const turned = [...other.fed].map(([name, fed]) => [name, toRuntime(fed)] as const)
      keep(await guide(Object.fromEntries(turned), opposite), opposite)
    }
    return answers
  }
  return Object.assign(asked, { release: () => guide.release() })
}
