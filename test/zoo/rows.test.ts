import { floats } from '@espalier/server/compiler/graph/index.js'
import t from 'tap'
import { rowsGap } from './rows.js'

const allowed = (scale: number) => 0.01 * scale
const boxes = floats([3, 2], [0, 1, 10, 20, 50, 100])
const scores = floats([3], [0.9, 0.5, 0.1])

t.test('rows in another order are the same list, and a row with the score of another is not', async (t) => {
  const turned = floats([3, 2], [10, 20, 50, 100, 0, 1])
  const against = (values: number[]) =>
    rowsGap(
      [
        [boxes, turned],
        [scores, floats([3], values)],
      ],
      allowed,
    )
  t.equal(against([0.5, 0.1, 0.9]), 0)
  t.ok(against([0.1, 0.5, 0.9]) > 1)
})

t.test(
  'a difference counts by what its output allows, and lists of different lengths never agree',
  async (t) => {
    const moved = floats([3, 2], [0, 1, 10.5, 20, 50, 100])
    t.equal(rowsGap([[boxes, moved]], allowed), 0.5)
    t.equal(rowsGap([[boxes, floats([2, 2], [0, 1, 10, 20])]], allowed), Number.POSITIVE_INFINITY)
  },
)
