import { allocate, costWithout } from '@espalier/server/compiler/budget/index.js'
import { loadDataset } from '@espalier/server/compiler/data/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { taylor } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { refreshStatistics } from '@espalier/server/compiler/train/index.js'
import { medians, singles } from './prune.js'

export const about =
  'ResNet-20 at --macs (0.85,0.7,0.5,0.35) of its MACs by taylor, residual branches kept and not: top-1 on --images (5000) with statistics set anew, latency in turn'

const cifar = '../shared/data/cifar10'
const load = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** Nothing is trained. Latencies are shares of the dense network's: medians of --runs (400) single queries, in turns. */
export default async function benchDepth(options: Readonly<Record<string, string>>): Promise<object> {
  const dense = await readModelFile('../shared/models/resnet20-cifar10.onnx')
  const data = await loadDataset(dense, `images:${cifar}/train#first=1024`, load)
  const judge = await loadDataset(dense, `images:${cifar}/test#first=${options.images ?? 5000}`, load)
  const subject = await prunable(dense)
  const { coupling } = subject
  const scores = await taylor(coupling, data)
  const whole = costWithout(coupling, [])
  const rows = []
  for (const macs of (options.macs ?? '0.85,0.7,0.5,0.35').split(',').map(Number)) {
    const made = []
    for (const depth of [1, 0]) {
      const { removed, footprint } = allocate(coupling, scores, { macs: macs * whole.macs }, { depth })
      const graph = await refreshStatistics(pruned(subject, removed), data)
      const figures = {
        branchesGone: coupling.blocks.filter((b) => removed.has(b)).length,
        macs: footprint.macs / whole.macs,
        params: footprint.params / whole.params,
        predictedRam: footprint.predictedRamBytes / whole.predictedRamBytes,
        top1: (await evaluate(graph, judge)).top1,
      }
      made.push({ graph, figures })
    }
    const graphs = [dense, ...made.map((m) => m.graph)]
    const [denseMs, ...ms] = await medians(
      graphs,
      singles({ [dense.inputs[0].name]: [1, 3, 32, 32] }),
      Number(options.runs ?? 400),
    )
    const [kept, free] = made.map(({ figures }, i) => ({ ...figures, latency: ms[i] / denseMs }))
    rows.push({ asked: macs, denseMs, branchesKept: kept, branchesFree: free })
  }
  return { network: 'resnet20-cifar10', criterion: 'taylor', images: judge.count, rows }
}
