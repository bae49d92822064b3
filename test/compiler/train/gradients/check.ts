import { random, shuffled } from '@espalier/server/compiler/data/index.js'
import {
  elementCount,
  floats,
  Graph,
  type Node,
  node,
  type Tensor,
} from '@espalier/server/compiler/graph/index.js'
import { Builder } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { blockSize, openStep } from '@espalier/server/compiler/train/blocks.js'
import { differentiate } from '@espalier/server/compiler/train/differentiate.js'
import { lowered } from '@espalier/server/compiler/train/lower.js'
import { sizesOf } from '@espalier/server/compiler/train/shapes.js'
import type t from 'tap'

export type Dims = readonly number[]

export interface Case {
  readonly what: string
  /** The node or nodes under test; the last one makes `y`. */
  readonly nodes: readonly Node[]
  /** What is differentiated for. */
  readonly inputs: Readonly<Record<string, Dims>>
  readonly constants?: Readonly<Record<string, Tensor>>
  /** Fed, but not differentiated for. */
  readonly feeds?: Readonly<Record<string, Tensor>>
  /** Positive inputs only (divisors, logarithms). */
  readonly positive?: boolean
  /** Inputs evenly between these bounds. */
  readonly within?: readonly [number, number]
  /** No two values near each other. */
  readonly distinct?: boolean
  /** Each input's rule is linear while the others stay: then the adjoint identity must hold to rounding. */
  readonly linear?: boolean
  /** Rewrites the graph as training does before it is differentiated. */
  readonly lowered?: boolean
  /** Computed in the runtime's blocks, as training does; plainly where it has none. */
  readonly blocks?: boolean
  /** 18 by default. */
  readonly opset?: number
}

export const y = (op: string, inputs: readonly string[], attributes: Parameters<typeof node>[3] = {}) =>
  node(op, inputs, ['y'], attributes)

/** Multiples of 1/4, moved a little: never within 0.06 of the kinks at 0, 1, 3 and 6, and far from each other's. */
function values(dims: Dims, next: () => number, { positive, within }: Partial<Case> = {}): Float32Array {
  if (within) {
    const [lo, hi] = within
    return Float32Array.from({ length: elementCount(dims) }, () => lo + (hi - lo) * next())
  }
  return Float32Array.from({ length: elementCount(dims) }, () => {
    const v = Math.round((next() - 0.5) * 32) / 4 + 0.125 + (next() - 0.5) * 0.1
    return positive ? Math.abs(v) + 0.5 : v
  })
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

export async function check(t: Test, c: Case): Promise<void> {
  const next = random(7)
  const names = Object.keys(c.inputs)
  const plain = new Graph({
    name: 'case',
    nodes: c.nodes,
    initializers: new Map(Object.entries(c.constants ?? {})),
    inputs: [
      ...names.map((name) => ({ name, dtype: 'float32' as const, dims: c.inputs[name] })),
      ...Object.entries(c.feeds ?? {}).map(([name, { dtype, dims }]) => ({ name, dtype, dims })),
    ],
    // Everything: the runtime lets a normalisation's statistics overwrite its inputs unless they are outputs.
    outputs: c.nodes.flatMap((n) =>
      n.outputs.filter((o) => o !== '').map((name) => ({ name, dtype: 'other', dims: null })),
    ),
    values: new Map(),
    opsets: new Map([
      ['', c.opset ?? 18],
      ['com.microsoft', 1],
    ]),
    metadata: new Map(),
  })
  const forward = c.lowered ? await lowered(plain) : plain
  if (c.lowered) t.not(forward, plain, 'it was rewritten')
  const sizes = await sizesOf(forward)
  const dims = sizes.dims.get('y')!
  const g = new Builder('gradient/', c.blocks ? await blockSize() : 1)
  const backward = differentiate(forward, sizes, new Map([['y', 'dy']]), names, g)
  const open = c.blocks ? openStep : openSession
  const session = await open(
    forward.with({
      nodes: [...backward.forward, ...g.nodes],
      initializers: new Map([...forward.initializers, ...g.constants]),
      inputs: [...forward.inputs, { name: 'dy', dtype: 'float32', dims }],
      outputs: [
        ...forward.outputs,
        ...[...backward.of.values()].map((name) => ({ name, dtype: 'float32' as const, dims: null })),
      ],
    }),
  )
  const feeds: Record<string, Tensor> = { ...c.feeds, dy: floats(dims, values(dims, next)) }
  for (const name of names) {
    const size = elementCount(c.inputs[name])
    const drawn = c.distinct
      ? Float32Array.from(shuffled(size, 7), (v) => v / 8)
      : values(c.inputs[name], next, c)
    feeds[name] = floats(c.inputs[name], drawn)
  }
  const at = (changed: Readonly<Record<string, Tensor>>) => run(session, { ...feeds, ...changed })
  const objective = async (changed: Readonly<Record<string, Tensor>>) =>
    dot((await at(changed)).y.data as Float32Array, feeds.dy.data as Float32Array)
  const results = await at({})
  if (c.lowered) {
    const given = await openSession(plain)
    const { dy: _, ...own } = feeds
    const before = (await run(given, own)).y.data as Float32Array
    const after = results.y.data as Float32Array
    const gap = Math.sqrt(dot(before, before) - 2 * dot(before, after) + dot(after, after))
    t.ok(gap <= 1e-4 * (Math.sqrt(dot(before, before)) + 1), `written out, it gives the same: ${gap}`)
    await given.release()
  }
  for (const name of names) {
    const gradient = results[backward.of.get(name)!]
    t.same(gradient.dims, c.inputs[name], `the gradient of ${name} has its shape`)
    const d = gradient.data as Float32Array
    const x = feeds[name].data as Float32Array
    if (c.linear) {
      const zero = floats(c.inputs[name], new Float32Array(x.length))
      const left = (await objective({})) - (await objective({ [name]: zero }))
      const scale = Math.sqrt(dot(d, d) * dot(x, x)) + 1e-6
      t.ok(Math.abs(left - dot(d, x)) < 2e-5 * scale, `adjoint of ${name}: ${left} = ${dot(d, x)}`)
    }
    // Random signs, so that every element counts; small enough that no kink is crossed.
    const step = 0.02
    const direction = x.map(() => (next() < 0.5 ? -1 : 1))
    const moved = (by: number) =>
      floats(
        c.inputs[name],
        x.map((v, i) => v + by * direction[i]),
      )
    const rise = (await objective({ [name]: moved(step) })) - (await objective({ [name]: moved(-step) }))
    const expected = dot(d, direction)
    const tolerance = 2e-3 * (Math.sqrt(dot(d, d)) + 1)
    t.ok(
      Math.abs(rise / (2 * step) - expected) < tolerance,
      `slope along ${name}: ${rise / (2 * step)} = ${expected}`,
    )
  }
  await session.release()
}

type Test = Parameters<Parameters<typeof t.test>[0]>[0]
