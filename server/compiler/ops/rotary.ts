import { intAttribute } from '../graph/index.js'
import { defineOp, MICROSOFT, product } from './define.js'
import { byHead, fourth } from './heads.js'

/**
 * Positions turn pairs of width, (i, i + width/2) or neighbours, by cos and sin [positions, width/2]: a pair goes
 * together, with its angle. Where only part of the width is turned it stays whole.
 */
const rotary = (domain: string, [cos, sin, ids]: readonly [number, number, number]) =>
  defineOp({
    op: 'RotaryEmbedding',
    domain,
    flow(f) {
      const axes = f.axes(0)
      const angles = [f.axes(cos), f.axes(sin)]
      const half = angles[0][angles[0].length - 1]
      const given = intAttribute(f.node, 'num_heads', 0)
      const hidden = axes[axes.length - 1]
      const count = given || hidden.atoms.length / (2 * half.atoms.length)
      const x = axes.length === 4 ? fourth(axes) : byHead(f, axes, hidden, count)
      for (const table of angles) {
        f.freeze(table.slice(0, -1), 'angles by position')
        f.same(half, table[table.length - 1])
      }
      f.freeze([x.t, ...(f.inputs[ids]?.axes ?? [])], 'angles by position')
      if (2 * half.atoms.length !== x.width.atoms.length)
        f.freeze([x.width, half], 'only part of it is turned')
      else {
        const two = f.fixed(2, 'the sides of a pair')
        const pairs = intAttribute(f.node, 'interleaved', 0) === 1 ? [half, two] : [two, half]
        f.same(x.width, f.merge(pairs))
      }
      if (given) f.onPrune((kept, node) => node.attribute('num_heads', kept.count(x.heads)))
      return [{ axes }]
    },
    macs: (c) => 2 * product(c.outputDims()),
  })

export const rotaries = [rotary('', [1, 2, 3]), rotary(MICROSOFT, [2, 3, 1])]
