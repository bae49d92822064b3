import { type Graph, intAttribute, type Node } from '../graph/index.js'
import { positive } from '../ops/index.js'
import { constants, type Shapes } from './shapes.js'
import { fixed, type Known, numberOf, over, symbol, times } from './size.js'
import { sizeRules } from './size-rules.js'

/** What is the same in every run, whatever sizes dynamic dimensions have. */
export interface KnownSizes {
  /** By value, each of its dimensions. */
  readonly dims: ReadonlyMap<string, readonly Known[]>
  /** By value, the elements of small whole numbers that are computed from sizes. */
  readonly elements: ReadonlyMap<string, readonly Known[]>
}

/** What a rule is given of a node. */
export interface SizeContext {
  readonly node: Node
  /** Dimensions of input `i`; none where it is absent. */
  dims(i: number): readonly Known[]
  /** Elements of input `i`, a constant or computed from sizes. */
  elements(i: number): readonly Known[] | undefined
  /** As the run had it. */
  readonly seen: readonly number[]
}

/** Operators that make something of nothing but sizes. */
const creating = new Set(['ConstantOfShape', 'Range'])
/** Operators of which the elements of further inputs say how large the output is. */
const sizing =
  /^(CenterCropPad|ConstantOfShape|Expand|OneHot|Pad|Range|Reduce\w+|Reshape|Resize|Slice|Split|Squeeze|Tile|TopK|Unsqueeze|Upsample)$/

/**
 * Follows sizes from the inputs' declared dimensions through the graph. Where all that a node reads has sizes that never
 * change, what it gives has those of the run; else what `size-rules` says of its operator. What disagrees with the run is
 * not believed.
 * @param varying values sized by data
 */
export function knownSizes(graph: Graph, shapes: Shapes, varying: ReadonlySet<string>): KnownSizes {
  const dims = new Map<string, readonly Known[]>()
  const elements = new Map<string, readonly Known[]>()
  const bound = new Map<string, number>()
  for (const { name, dims: declared } of graph.inputs) {
    const run = shapes.dims.get(name) ?? []
    const own = run.map((size, i) => {
      if (typeof declared?.[i] === 'number') return fixed(size)
      const known = symbol(`${name}/${i}`)
      bound.set(known.symbols[0], size)
      return known
    })
    dims.set(name, own)
  }
  for (const [name, t] of constants(graph)) {
    dims.set(name, t.dims.map(fixed))
    const held = shapes.integers.get(name)
    if (held) elements.set(name, held.map(fixed))
  }
  const inRun = (s: Known) => s?.symbols.reduce((p, name) => p * (bound.get(name) ?? 0), s.factor)
  const believed = (said: readonly Known[], run: readonly number[]) =>
    run.map((v, i) => (said.length === run.length && inRun(said[i]) === v ? said[i] : undefined))

  for (const n of graph.nodes) {
    if (graph.constant(n.outputs[0])) continue
    const given = n.inputs.filter((name) => name !== '')
    const of = (i: number) => dims.get(n.inputs[i] ?? '') ?? []
    const whole = given.every((name) => dims.get(name)?.every((d) => numberOf(d) !== undefined))
    const told = !sizing.test(n.op) || given.slice(creating.has(n.op) ? 0 : 1).every(isSettled)
    const followed = n.domain === '' && given.every((name) => dims.has(name))
    for (const [i, o] of n.outputs.entries()) {
      const seen = shapes.dims.get(o)
      if (o === '' || !seen) continue
      const context = { node: n, dims: of, elements: (k: number) => elements.get(n.inputs[k] ?? ''), seen }
      const rule = followed ? sizeRules.get(n.op) : undefined
      const said = whole && told ? seen.map(fixed) : (rule?.(context, i) ?? [])
      dims.set(o, varying.has(o) ? seen.map(() => undefined) : believed(said, seen))
    }
    const [y] = n.outputs
    const held = shapes.integers.get(y)
    if (held && !varying.has(y) && isOfSizes(n)) elements.set(y, believed(elementsOf(n, held), held))
  }
  return { dims, elements }

  /** Whether a value is a constant, or whole numbers that are the same in every run. */
  function isSettled(name: string): boolean {
    return (
      graph.constant(name) !== undefined ||
      elements.get(name)?.every((e) => numberOf(e) !== undefined) === true
    )
  }

  /** Whether the node computes whole numbers from nothing but sizes and constants. */
  function isOfSizes(n: Node): boolean {
    if (n.domain !== '') return false
    if (n.op === 'Shape' || n.op === 'Size') return !varying.has(n.inputs[0])
    return n.inputs.length > 0 && n.inputs.every((name) => name === '' || elements.has(name))
  }

  function elementsOf(n: Node, held: readonly number[]): readonly Known[] {
    const [a, b] = n.inputs.map((name) => elements.get(name))
    const first = dims.get(n.inputs[0] ?? '') ?? []
    if (n.op !== 'Shape' && n.inputs.every((name) => name === '' || isSettled(name))) return held.map(fixed)
    const pick = (list: readonly Known[] | undefined, i: number) => (list?.length === 1 ? list[0] : list?.[i])
    switch (n.op) {
      case 'Shape': {
        const end = intAttribute(n, 'end', first.length)
        return first.slice(positive(intAttribute(n, 'start', 0), first.length), positive(end, first.length))
      }
      case 'Size':
        return [first.reduce(times, fixed(1))]
      case 'Gather':
        return (b ?? []).map((i) => a?.[positive(numberOf(i) ?? Number.NaN, a.length)])
      case 'Slice': {
        const [start, end, , step] = n.inputs.slice(1).map((name) => numberOf(elements.get(name)?.[0]))
        return start === undefined || end === undefined || (step ?? 1) !== 1
          ? []
          : (a?.slice(start, end) ?? [])
      }
      case 'Concat':
        return n.inputs.flatMap((name) => elements.get(name) ?? [])
      case 'Cast':
      case 'Identity':
      case 'Reshape':
      case 'Squeeze':
      case 'Unsqueeze':
        return a ?? []
      case 'Mul':
        return held.map((_, i) => times(pick(a, i), pick(b, i)))
      case 'Div':
        return held.map((_, i) => over(pick(a, i), pick(b, i)))
      default:
        return []
    }
  }
}
