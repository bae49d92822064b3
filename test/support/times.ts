import { operatorsOf } from '@espalier/server/compiler/latency/index.js'
import type { Prunable } from '@espalier/server/compiler/surgery/index.js'
import type { OperatorTimes } from '@espalier/shared/measure/index.js'

/** A millisecond for so many multiplications, in blocks of 16 channels. */
const blockedMs = (dims: readonly (readonly number[])[]): number => {
  const [, [out = 1, into = 1] = []] = dims
  const map = dims[dims.length - 1].slice(2).reduce((n, d) => n * d, 1)
  return 1e-6 * Math.ceil(out / 16) * 16 * Math.ceil(into / 16) * 16 * map
}

/** The table of a machine that there is not, which computes convolutions in blocks of 16 channels. */
export const blockedTimes = ({ coupling }: Prunable): OperatorTimes => ({
  espalierProfile: 1,
  machine: 'a board of blocks',
  runtime: 'none',
  runtimeVersion: '0',
  threads: 1,
  queryMs: 0.01,
  scale: 1,
  operators: operatorsOf(coupling, 4).map(({ op, kind, dims }) => ({
    op,
    kind,
    dims,
    ms: op === 'Conv' ? blockedMs(dims) : 0,
  })),
})
