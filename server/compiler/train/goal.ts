import { EspalierError } from '@espalier/shared'
import type * as ort from 'onnxruntime-node'
import { isLabelled } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import type { Drawn } from './feeder.js'
import { added, classification, eachOutput, type LossOf, matching } from './loss.js'
import { lossNameOf, type Samples, type TrainOptions } from './options.js'
import { both, outputsTeacher, teacherOf } from './teacher.js'

/** A teacher's answers to a batch, as feeds of what the loss asks for. */
export interface Guide {
  (feeds: Readonly<Record<string, ort.Tensor>>, drawn: Drawn): Promise<Record<string, ort.Tensor>>
  release(): Promise<void>
}

/** What a run trains towards. */
export interface Goal {
  readonly loss: LossOf
  /** The data without what the loss does not look at. */
  readonly data: Samples
  /** Whether it looks at labels or targets. */
  readonly byData: boolean
  /** The output that those are for. */
  readonly answer: string
  /** The teacher, opened, where it looks at one. */
  guide(batch: number, outputs: number): Promise<Guide | undefined>
}

/** @throws OPTION_INVALID for the loss `matching` without a teacher */
export function goalOf(graph: Graph, data: Samples, options: TrainOptions): Goal {
  const { teacher } = options
  const answer = data.answer ?? graph.outputs[0].name
  const names = graph.outputs.flatMap((o) => (o.dtype === 'float32' ? [o.name] : []))
  const kind = options.loss ?? lossNameOf(data, graph)
  if (kind === 'matching') {
    if (!teacher)
      throw new EspalierError(
        data.labels || options.loss ? 'OPTION_INVALID' : 'DATA_UNLABELLED',
        'a network of other outputs than [batch, classes] is trained to match a teacher: give --teacher',
      )
    return {
      answer,
      loss: matching(names),
      data: { ...data, labels: undefined, targets: undefined },
      byData: false,
      guide: (batch) => outputsTeacher(teacher.graph, batch, data, names),
    }
  }
  const known = isLabelled(data)
  const share = !teacher ? 0 : known ? (teacher.share ?? 0.7) : 1
  const terms = { teacherShare: share, temperature: teacher?.temperature ?? 4, answer }
  const main = kind === 'cross-entropy' ? classification(terms) : eachOutput(kind, terms)
  const others = names.filter((name) => name !== answer)
  return {
    answer,
    loss: share > 0 && others.length > 0 ? added(main, matching(others), share) : main,
    data,
    byData: share < 1,
    async guide(batch, outputs) {
      if (!teacher || share === 0) return undefined
      const of = { classes: outputs, what: kind === 'mse' ? 'value' : 'logits', answer } as const
      const first = await teacherOf(teacher.graph, batch, data, of)
      return others.length > 0 ? both(first, await outputsTeacher(teacher.graph, batch, data, others)) : first
    },
  }
}
