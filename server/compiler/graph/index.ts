export { type Dim, Graph, type GraphParts, type Value } from './graph.js'
export * from './node.js'
export { topologicalOrder } from './order.js'
export * from './tensor.js'
