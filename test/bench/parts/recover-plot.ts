import { evenTicks, linePlot, percent, type Series } from '@espalier/server/compiler/drawing/index.js'
import type { Curve, Step } from '../recover.js'

const colours = ['#2563eb', '#d97706', '#059669']
const names: Readonly<Record<Step['step'], string>> = {
  pruned: 'pruned',
  statistics: 'statistics',
  repair: 'repair',
  'answers after repair': "two epochs towards the dense network's answers after repair",
  'fine-tuning': 'ten epochs',
  'fine-tuning after repair': 'ten epochs after repair',
}
/** Steps that the line does not go through. */
const aside: readonly Step['step'][] = ['fine-tuning', 'fine-tuning after repair']

/** Top-1 over CPU seconds after pruning, seconds on a logarithmic axis: a line a network, its dense top-1 dashed. */
export function recoverPlot(curves: readonly Curve[]): string {
  const most = Math.max(10, ...curves.flatMap((c) => c.steps.map((s) => spent(c, s))))
  const x = (seconds: number) => Math.log10(1 + Math.max(0, seconds))
  return linePlot({
    title: 'Top-1 over CPU seconds after pruning',
    x: {
      label: 'CPU seconds after pruning; open: ten epochs with labels; dashed: dense',
      ticks: [...[0, 1, 10, 100, 1000].filter((s) => s < 0.8 * most), Math.round(most)].map((s) => ({
        ...{ at: x(s), words: `${s}` },
      })),
    },
    y: { ticks: evenTicks(0, 1, 6, percent) },
    series: curves.flatMap((curve, i): Series[] => {
      const colour = colours[i % colours.length]
      const through = (name: string, line: Series['line'], steps: readonly Step[]): Series => ({
        ...{ name, colour, line },
        points: steps.map((s) => [x(spent(curve, s)), s.top1]),
        dots: steps.map((s) => ({
          title: `${curve.network}, ${names[s.step]}: ${percent(s.top1, 2)} after ${spent(curve, s).toFixed(1)} s`,
          open: aside.includes(s.step),
        })),
      })
      const { dense, steps, network } = curve
      return [
        { ...{ name: '', colour, line: 'dashed' }, points: [0, most].map((s) => [x(s), dense]) },
        through(
          `${network} (${percent(dense, 1)})`,
          'solid',
          steps.filter((s) => !aside.includes(s.step)),
        ),
        through(
          '',
          'none',
          steps.filter((s) => aside.includes(s.step)),
        ),
      ]
    }),
  })
}

/** CPU seconds from pruning to the end of a step, with those that it builds upon. */
function spent({ steps }: Curve, { step }: Step): number {
  const before: Readonly<Record<Step['step'], readonly Step['step'][]>> = {
    pruned: [],
    statistics: [],
    repair: ['statistics'],
    'answers after repair': ['statistics', 'repair'],
    'fine-tuning': ['statistics'],
    'fine-tuning after repair': ['statistics', 'repair'],
  }
  const order = [...before[step], step]
  return order.reduce((sum, s) => sum + (steps.find((one) => one.step === s)?.cpuSeconds ?? 0), 0)
}
