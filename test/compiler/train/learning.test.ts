import { scheduleNames } from '@espalier/server/compiler/names.js'
import { MovingAverage } from '@espalier/server/compiler/train/moving-average.js'
import { optimizerOf } from '@espalier/server/compiler/train/optimizer.js'
import { schedule } from '@espalier/server/compiler/train/schedule.js'
import t, { type Test } from 'tap'

/** Two steps of an optimiser on one weight of 1 with gradients 0.5 and −0.25 at a rate of 0.1. */
function two(name: 'adam' | 'adamw' | 'sgd', decay: number, options: object = {}): number[] {
  const value = Float32Array.of(1)
  const optimizer = optimizerOf(name, [{ value, decay }], options)
  return [0.5, -0.25].map((g, i) => {
    optimizer.update(i + 1, 0.1, [Float32Array.of(g)])
    return value[0]
  })
}
const near = (t: Test, found: number[], wanted: number[]) => {
  for (const [i, w] of wanted.entries()) t.ok(Math.abs(found[i] - w) < 1e-6, `${found[i]} = ${w}`)
}

t.test('SGD: momentum, Nesterov and decay as their papers have them', async (t) => {
  near(t, two('sgd', 0), [1 - 0.05, 0.95 - 0.1 * (0.9 * 0.5 - 0.25)])
  const v = 0.9 * 0.5 - 0.25
  near(t, two('sgd', 0, { nesterov: true }), [1 - 0.1 * (0.5 + 0.45), 0.905 - 0.1 * (-0.25 + 0.9 * v)])
  near(t, two('sgd', 0.2, { momentum: 0 }), [1 - 0.1 * 0.7, 0.93 - 0.1 * (-0.25 + 0.2 * 0.93)])
})

t.test('Adam takes decay into its gradients, AdamW off the weights', async (t) => {
  const moments = (g1: number, g2: number) => {
    const [m, v] = [0.9 * 0.1 * g1 + 0.1 * g2, 0.999 * 0.001 * g1 ** 2 + 0.001 * g2 ** 2]
    return m / (1 - 0.9 ** 2) / (Math.sqrt(v / (1 - 0.999 ** 2)) + 1e-8)
  }
  near(t, two('adam', 0), [0.9, 0.9 - 0.1 * moments(0.5, -0.25)])
  near(t, two('adam', 0.2), [0.9, 0.9 - 0.1 * moments(0.7, -0.25 + 0.2 * 0.9)])
  near(t, two('adamw', 0.2), [0.98 - 0.1, 0.88 * 0.98 - 0.1 * moments(0.5, -0.25)])
})

t.test('schedules rise over their warm-up to the peak, and fall as they say', async (t) => {
  for (const name of scheduleNames) {
    const rate = schedule(name, 100, 2, 0.1)
    const rates = Array.from({ length: 100 }, (_, i) => rate(i))
    t.ok(rates[0] < 0.4 && rates.slice(0, 9).every((r, i) => rates[i + 1] > r), `${name} rises`)
    t.equal(rates[10], 2, `${name} is at its peak after it`)
    t.equal(Math.max(...rates), 2)
  }
  const at = (name: (typeof scheduleNames)[number]) => {
    const rate = schedule(name, 100, 2, 0)
    return [0, 49, 50, 75, 99].map(rate)
  }
  near(t, at('constant'), [2, 2, 2, 2, 2])
  near(t, at('step'), [2, 2, 0.2, 0.02, 0.02])
  near(t, at('cosine').slice(0, 3), [2, 1 + Math.cos(0.49 * Math.PI), 1])
  near(t, [schedule('step', 10, 1, 0, [0.2])(1), schedule('step', 10, 1, 0, [0.2])(2)], [1, 0.1])
})

t.test(
  'a moving average leaves its share, less in the first steps, and is zero where weights are',
  async (t) => {
    const now = new Map([['w', Float32Array.of(1, 0)]])
    const average = new MovingAverage(new Map([['w', Float32Array.of(0, 1)]]), 0.5)
    average.take(0, now)
    near(t, [...average.values.get('w')!], [0.9, 0.1])
    average.take(100, now)
    near(t, [...average.values.get('w')!], [0.95, 0.05])
    t.same(average.sparseAs(now).get('w')![1], 0)
  },
)
