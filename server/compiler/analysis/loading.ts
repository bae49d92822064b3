import { allocatorSettings } from '@espalier/shared/measure/index.js'
import { elementCount, type Graph, type Node, type Tensor } from '../graph/index.js'
import { BLOCK, type Placement } from './blocked.js'
import { constants, type Shapes } from './shapes.js'

type Dims = Shapes['dims']

/** Bytes of a session's constants. */
export interface Loading {
  /** The most that are alive at once while a session is made. */
  readonly loadingBytes: number
  /** What the session keeps outside its arena. */
  readonly heldBytes: number
  /** Those of constants as read that get no pages of their own: what is freed of them stays in the heap, in holes. */
  readonly smallBytes: number
}

/** From so many bytes on the allocator gives pages of their own (`allocatorSettings`). */
const OWN_PAGES = Number(allocatorSettings.MALLOC_MMAP_THRESHOLD_)

/** Files are read in pieces of so many bytes. */
export const READ_AHEAD = 4 * 2 ** 20

/**
 * What onnxruntime 1.30 does with constants while it makes a session, as its calls to the system show. It reads all of
 * them, through a buffer; copies them one by one into tensors of its own; writes those of each convolution that runs in
 * blocks anew, one after the other, with three more copies for the moment, and lets go of what it had read only when all
 * are done; and at last packs what kernels want packed, which frees each original.
 */
export function loadingOf(graph: Graph, dims: Dims, placements: readonly Placement[]): Loading {
  const all = new Map<Tensor, number>()
  for (const [name, t] of constants(graph))
    if (graph.uses(name) > 0 && !all.has(t))
      all.set(t, elementCount(dims.get(name) ?? t.dims) * t.data.BYTES_PER_ELEMENT)
  const read = [...all.values()].reduce((sum, bytes) => sum + bytes, 0)
  const largest = [...all.values()].reduce((most, bytes) => Math.max(most, bytes), 0)
  const tensors = new Map(constants(graph))
  let loadingBytes = read + Math.max(Math.min(read, READ_AHEAD), largest)
  let [alive, gone] = [read, 0]
  const written = new Set<Tensor>()
  graph.nodes.forEach((n, i) => {
    const t = tensors.get(n.inputs[1])
    const bytes = t && all.get(t)
    if (!t || bytes === undefined || written.has(t)) return
    if (n.op === 'Conv' && placements[i].writes === 'blocked') {
      const inBlocks = blockedBytes(n, dims, placements[i])
      loadingBytes = Math.max(loadingBytes, alive + bytes + 3 * inBlocks)
      alive += inBlocks
    } else if (n.op !== 'ConvTranspose') return
    gone += bytes
    written.add(t)
  })
  const smallBytes = [...all.values()].reduce((sum, bytes) => sum + (bytes < OWN_PAGES ? bytes : 0), 0)
  return { loadingBytes, heldBytes: alive - gone, smallBytes }
}

/** Bytes of a convolution's weights [outputs, inputs a group, …kernel] in blocks, padded to whole ones. */
function blockedBytes(n: Node, dims: Dims, { reads }: Placement): number {
  const [outputs = 0, inputs = 0, ...kernel] = dims.get(n.inputs[1]) ?? []
  const whole = (channels: number) => BLOCK * Math.ceil(channels / BLOCK)
  const padded = reads === 'blocked' && inputs > 1 ? whole(inputs) : inputs
  return 4 * whole(outputs) * padded * elementCount(kernel)
}
