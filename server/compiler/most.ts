/**
 * The most that a file may declare. All of it is checked before the runtime sees the file; each lies far above the
 * largest networks that are exported to ONNX, and low enough that what is declared can be held.
 */
export const most = {
  /** Protobuf messages of any kind: each becomes an object of some hundred bytes. */
  messages: 2_000_000,
  /** The runtime takes time by the square of them to expose what each computes: a minute for so many. */
  nodes: 50_000,
  tensors: 200_000,
  functions: 2_000,
  /** Messages within messages; a subgraph in a subgraph is three deeper. */
  depth: 64,
  /** Bytes of a name, of whatever is named. */
  name: 4_096,
  /** Dimensions of a tensor. */
  rank: 64,
  /** Elements of a tensor as they would be if its sizes of zero were one. */
  emptyElements: 2 ** 24,
  /** Elements of a value that the network takes or makes: one gigabyte in float32. */
  elements: 2 ** 28,
} as const
