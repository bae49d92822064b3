import { EspalierError } from '@espalier/shared'
import { elementCount, type Graph, intsAttribute, type Node, numbersOf } from '../graph/index.js'
import { most } from '../most.js'

/**
 * Refuses networks whose constants alone ask for values that cannot be held, before the runtime makes them.
 * @throws MODEL_TOO_HEAVY naming the node
 */
export function refuseGiants(graph: Graph): void {
  for (const n of graph.nodes) {
    const elements = n.domain === '' ? (least.get(n.op)?.(n, numbers(graph)) ?? 0) : 0
    if (elements > most.elements) throw tooHeavy(`node '${n.name}' (${n.op}) makes a value`, elements)
  }
}

export const tooHeavy = (what: string, elements: number) =>
  new EspalierError(
    'MODEL_TOO_HEAVY',
    `${what} of ${elements.toPrecision(3)} elements; at most ${most.elements} can be worked with`,
  )

/** Elements of a constant; none where it is not known. */
type Numbers = (value: string | undefined) => readonly number[]

const numbers =
  (graph: Graph): Numbers =>
  (value) => {
    const t = value ? graph.constant(value) : undefined
    return t && t.data.length <= most.rank * 2 ? numbersOf(t) : []
  }

const product = (sizes: readonly number[]) => elementCount(sizes.map((s) => Math.max(1, s)))

/** How many elements an operator's result has at least, whatever its other inputs are. */
const least: ReadonlyMap<string, (n: Node, of: Numbers) => number> = new Map(
  Object.entries({
    ConstantOfShape: (n: Node, of: Numbers) => product(of(n.inputs[0])),
    Expand: (n: Node, of: Numbers) => product(of(n.inputs[1])),
    OneHot: (n: Node, of: Numbers) => product(of(n.inputs[1])),
    Pad(n: Node, of: Numbers) {
      const pads = n.inputs[1] ? of(n.inputs[1]) : (intsAttribute(n, 'pads') ?? [])
      const half = pads.length / 2
      return product(pads.slice(0, half).map((before, i) => before + pads[half + i]))
    },
    RandomNormal: (n: Node) => product(intsAttribute(n, 'shape') ?? []),
    RandomUniform: (n: Node) => product(intsAttribute(n, 'shape') ?? []),
    Range(n: Node, of: Numbers) {
      const [start, limit, step] = [0, 1, 2].map((i) => of(n.inputs[i])[0])
      return (limit - start) / step // NaN where one is not known
    },
    Resize: (n: Node, of: Numbers) => Math.max(product(of(n.inputs[3])), product(of(n.inputs[2]))),
    Tile: (n: Node, of: Numbers) => product(of(n.inputs[1])),
    Upsample: (n: Node, of: Numbers) => product(of(n.inputs[1])),
  }),
)
