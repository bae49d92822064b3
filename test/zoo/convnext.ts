import { type Architecture, dense, gelu, layerNorm, transpose } from './layers.js'
import { Net } from './net.js'

/** Liu et al. 2022, as torchvision exports it: LayerNorm over channels last, a dense pair, a scale a channel. */
function convNeXt() {
  const n = new Net('ConvNeXt')
  const normalFirst = (x: string, c: number) =>
    transpose(n, layerNorm(n, transpose(n, x, 0, 2, 3, 1), c), 0, 3, 1, 2)
  const block = (x: string, c: number) => {
    const deep = transpose(n, n.conv(x, c, c, { k: 7, group: c }), 0, 2, 3, 1)
    const inner = gelu(n, dense(n, layerNorm(n, deep, c), c, 4 * c))
    const y = transpose(n, dense(n, inner, 4 * c, c), 0, 3, 1, 2)
    return n.op('Add', [n.op('Mul', [n.weight([c, 1, 1], { around: 1 }), y]), x])
  }
  let x = normalFirst(n.conv(n.input('x', ['n', 3, 16, 16]), 3, 20, { k: 4, stride: 4, pad: 0 }), 20)
  x = block(block(x, 20), 20)
  x = n.conv(normalFirst(x, 20), 20, 40, { k: 2, stride: 2, pad: 0 })
  x = block(x, 40)
  const mean = n.op('GlobalAveragePool', [x])
  return n.build(n.dense(n.op('Flatten', [normalFirst(mean, 40)]), 40, 5))
}

export const convNeXts: readonly Architecture[] = [
  {
    name: 'ConvNeXt',
    peculiarity: 'depthwise 7×7, LayerNorm between transposes, a learned scale on each branch',
    make: convNeXt,
  },
]
