import { type Axis, defineOp, type FlowContext, noMacs } from './define.js'

/** Sizes of the output from dimension `from` on, as positions that no index can leave. */
const positions = (f: FlowContext, from = 2): Axis[] =>
  f
    .outputDims()
    .slice(from)
    .map((size) => f.fixed(size, 'sampled positions'))

/** x[N,C,…] read at grid[N,…,2 or 3] → y[N,C,…]: every channel at the same places. */
export const gridSample = defineOp({
  op: 'GridSample',
  flow(f) {
    const [n, c, ...read] = f.axes(0)
    const [samples, ...grid] = f.axes(1)
    f.same(n, samples)
    f.freeze([...read, ...grid], 'positions are interpolated')
    return [{ axes: [n, c, ...positions(f)] }]
  },
  macs: noMacs,
})

/** theta[N,2,3] → grid[N,H,W,2]. */
export const affineGrid = defineOp({
  op: 'AffineGrid',
  flow(f) {
    f.freeze(f.axes(0), 'a matrix that turns positions')
    return [{ axes: positions(f, 0) }]
  },
  macs: noMacs,
})

/** Regions of x[N,C,H,W] → y[regions,C,h,w]; `batched`: input 2 says of which sample each region is. */
const regions = (op: string, batched: boolean) =>
  defineOp({
    op,
    flow(f) {
      const [n, c, ...read] = f.axes(0)
      const [r, corners] = f.axes(1)
      f.freeze([n, ...read, r, corners, ...(batched ? f.axes(2) : [])], 'regions are read by number')
      return [{ axes: [f.fixed(f.outputDims()[0], 'regions'), c, ...positions(f)] }]
    },
    macs: noMacs,
  })

export const roiPools = [regions('MaxRoiPool', false), regions('RoiAlign', true)]
