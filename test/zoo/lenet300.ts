import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from './net.js'

/** LeNet-300-100 (LeCun et al. 1998), the network of three dense layers of the pruning papers. */
export function lenet300(): Graph {
  const n = new Net('lenet300')
  let x = n.op('Flatten', [n.input('x', ['n', 1, 28, 28])])
  x = n.op('Relu', [n.dense(x, 784, 300)])
  x = n.op('Relu', [n.dense(x, 300, 100)])
  return n.build(n.dense(x, 100, 10))
}
