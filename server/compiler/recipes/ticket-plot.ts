import { evenTicks, linePlot, percent } from '../drawing/index.js'
import type { Round } from './ticket.js'

const series = [
  ['top1Ticket', 'ticket', '#0a7d5a'],
  ['top1Random', 'random', '#c2410c'],
] as const satisfies (readonly [keyof Round, string, string])[]

/** The paper's plot as an SVG: accuracy of ticket and random ticket over the share of weights left, which falls to the right. */
export function ticketPlot(rounds: readonly Round[]): string {
  const left = rounds.map((r) => Math.log(1 - r.sparsity))
  const accuracies = rounds.flatMap((r) => [r.top1Ticket, r.top1Random])
  const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)]
  const room = Math.max(1e-3, high - low) * 0.1
  return linePlot({
    title: 'Lottery tickets: accuracy over the share of weights left',
    x: {
      label: 'weights left',
      ticks: rounds.map((r, i) => ({ at: left[i], words: `${+(100 * (1 - r.sparsity)).toPrecision(2)} %` })),
    },
    y: { ticks: evenTicks(low - room, high + room, 5, (share) => percent(share, 2)) },
    series: series.map(([key, name, colour]) => ({
      ...{ name, colour, points: rounds.map((r, i) => [left[i], r[key]] as const) },
      dots: rounds.map((r) => ({ title: `${name} at ${percent(1 - r.sparsity, 1)}: ${percent(r[key], 2)}` })),
    })),
  })
}
