import { blocksOf, captureShapes } from '@espalier/server/compiler/analysis/index.js'
import { Graph, type Node } from '@espalier/server/compiler/graph/index.js'
import t from 'tap'
import { Net } from '../../zoo/index.js'

/** A graph that counts how often it is asked. */
class Counting extends Graph {
  asked = 0

  override producer(value: string): Node | undefined {
    this.asked++
    return super.producer(value)
  }

  override consumers(value: string): readonly Node[] {
    this.asked++
    return super.consumers(value)
  }
}

/** Sums one after the other: of what came before, and of a branch that may begin further back. */
function residual(blocks: number): Graph {
  const n = new Net('residual')
  const values = [n.conv(n.input('x', [1, 4, 4, 4]), 4, 8)]
  for (let i = 0; i < blocks; i++) {
    const x = values[values.length - 1]
    const from = i % 3 === 2 ? (values[values.length - 3] ?? x) : x
    const branch = n.conv(n.op('Relu', [n.conv(from, 8, 8)]), 8, 8)
    values.push(n.op('Add', i % 2 === 0 ? [branch, x] : [x, branch]))
  }
  return n.build(n.head(values[values.length - 1], 8, 4))
}

t.test('blocks take as long as the network is deep, no more', async (t) => {
  const asked = async (blocks: number) => {
    const graph = residual(blocks)
    const counting = new Counting(graph)
    const found = blocksOf(counting, await captureShapes(graph))
    t.equal(found.length, blocks, `${blocks} blocks`)
    t.ok(found.every(({ nodes, edge }) => nodes.length === 3 && graph.producer(edge.value)?.op === 'Add'))
    return counting.asked / blocks
  }
  const [some, many] = [await asked(20), await asked(160)]
  t.ok(many <= 1.2 * some, `${some} questions a block of 20, ${many} of 160`)
})
