import { fusedHeads } from './attention.js'
import {
  type Architecture,
  convBn,
  dense,
  expand,
  gelu,
  layerNorm,
  silu,
  sizeOf,
  spelledLayerNorm,
  transpose,
  view,
} from './layers.js'
import { Net } from './net.js'

interface Encoder {
  readonly width: number
  readonly heads: number
  readonly hidden: number
  readonly positions: number
  readonly normal?: (n: Net, x: string, width: number) => string
}

/** A pre-normalised transformer block. */
export function encoder(n: Net, x: string, e: Encoder): string {
  const normal = e.normal ?? layerNorm
  const heads = { width: e.width, heads: e.heads, head: e.width / e.heads }
  const seen = n.op('Add', [x, fusedHeads(n, normal(n, x, e.width), heads, e.positions)])
  const inner = gelu(n, dense(n, normal(n, seen, e.width), e.width, e.hidden))
  return n.op('Add', [seen, dense(n, inner, e.hidden, e.width)])
}

/** Dosovitskiy et al. 2021: patches by convolution, a class token, learned positions. */
function vit() {
  const n = new Net('ViT')
  const width = 40
  const patches = n.conv(n.input('x', ['n', 3, 16, 16]), 3, width, { k: 4, stride: 4, pad: 0 })
  const rows = transpose(n, view(n, patches, sizeOf(n, patches, 0), width, 16), 0, 2, 1)
  const token = expand(n, n.weight([1, 1, width]), sizeOf(n, rows, 0), -1, -1)
  let x = n.op('Add', [n.op('Concat', [token, rows], { axis: 1 }), n.weight([1, 17, width])])
  for (let i = 0; i < 2; i++) x = encoder(n, x, { width, heads: 4, hidden: 160, positions: 17 })
  return n.build(n.dense(n.op('Gather', [layerNorm(n, x, width), n.int(0)], { axis: 1 }), width, 5))
}

/** Mehta & Rastegari 2022: a transformer over the pixels of patches, unfolded from a map and folded back. */
function mobileViT() {
  const n = new Net('MobileViT')
  const [width, channels, side, patch] = [40, 20, 8, 2]
  const rows = side / patch
  const image = n.input('x', ['n', 3, 16, 16])
  const x = convBn(n, image, 3, channels, { stride: 2, act: silu })
  const local = n.conv(convBn(n, x, channels, channels, { act: silu }), channels, width, {
    k: 1,
    bias: false,
  })
  // timm: [n·d·rows, p, columns, p] → [n·p·p, rows·columns, d]
  const apart = transpose(n, view(n, local, -1, patch, rows, patch), 0, 2, 1, 3)
  const pixels = view(n, apart, -1, width, rows * rows, patch * patch)
  let y = view(n, transpose(n, pixels, 0, 3, 2, 1), -1, rows * rows, width)
  for (let i = 0; i < 2; i++)
    y = encoder(n, y, { width, heads: 4, hidden: 80, positions: 16, normal: spelledLayerNorm })
  const folded = transpose(
    n,
    view(n, layerNorm(n, y, width), -1, patch * patch, rows * rows, width),
    0,
    3,
    2,
    1,
  )
  const turned = transpose(n, view(n, folded, -1, rows, patch, patch), 0, 2, 1, 3)
  const back = view(n, turned, -1, width, side, side)
  const projected = convBn(n, back, width, channels, { k: 1, act: silu })
  const joined = n.op('Concat', [x, projected], { axis: 1 })
  return n.build(n.head(convBn(n, joined, 2 * channels, channels, { act: silu }), channels))
}

/** Tolstikhin et al. 2021: dense layers across positions, then across channels. */
function mixer() {
  const n = new Net('MLP-Mixer')
  const [width, tokens] = [40, 16]
  const patches = n.conv(n.input('x', ['n', 3, 16, 16]), 3, width, { k: 4, stride: 4, pad: 0 })
  let x = transpose(n, view(n, patches, sizeOf(n, patches, 0), width, -1), 0, 2, 1)
  const mlp = (y: string, from: number, inner: number) =>
    dense(n, gelu(n, dense(n, y, from, inner)), inner, from)
  for (let i = 0; i < 2; i++) {
    const across = mlp(transpose(n, layerNorm(n, x, width), 0, 2, 1), tokens, 20)
    x = n.op('Add', [x, transpose(n, across, 0, 2, 1)])
    x = n.op('Add', [x, mlp(layerNorm(n, x, width), width, 80)])
  }
  const mean = n.op('ReduceMean', [layerNorm(n, x, width)], { axes: [1], keepdims: 0 })
  return n.build(n.dense(mean, width, 5))
}

export const visionTransformers: readonly Architecture[] = [
  {
    name: 'ViT',
    peculiarity: 'a class token expanded over the batch and appended to the patches; fused projections',
    make: vit,
  },
  {
    name: 'MobileViT',
    peculiarity: 'positions unfolded into a transformer over pixels and folded back into a map',
    make: mobileViT,
  },
  { name: 'MLP-Mixer', peculiarity: 'dense layers over transposed positions', make: mixer },
]
