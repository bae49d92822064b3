import { evenTicks, linePlot, percent } from '../drawing/index.js'
import type { Round } from './ticket.js'

const series = [
  ['Ticket', 'ticket', '#0a7d5a'],
  ['Random', 'random', '#c2410c'],
] as const

/**
 * The paper's plot as an SVG: accuracy of ticket and random ticket (or the loss, where there are targets) over the share of
 * weights left, which falls to the right.
 */
export function ticketPlot(rounds: readonly Round[]): string {
  const left = rounds.map((r) => Math.log(1 - r.sparsity))
  const isTop1 = rounds.every((r) => r.top1Ticket !== null)
  const of = (r: Round, which: 'Ticket' | 'Random') => (isTop1 ? r[`top1${which}`] : r[`loss${which}`]) ?? 0
  const shown = (v: number, digits: number) => (isTop1 ? percent(v, digits) : v.toPrecision(3))
  const accuracies = rounds.flatMap((r) => [of(r, 'Ticket'), of(r, 'Random')])
  const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)]
  const room = Math.max(1e-3, high - low) * 0.1
  return linePlot({
    title: `Lottery tickets: ${isTop1 ? 'accuracy' : 'loss'} over the share of weights left`,
    x: {
      label: 'weights left',
      ticks: rounds.map((r, i) => ({ at: left[i], words: `${+(100 * (1 - r.sparsity)).toPrecision(2)} %` })),
    },
    y: { ticks: evenTicks(low - room, high + room, 5, (value) => shown(value, 2)) },
    series: series.map(([key, name, colour]) => ({
      ...{ name, colour, points: rounds.map((r, i) => [left[i], of(r, key)] as const) },
      dots: rounds.map((r) => ({
        title: `${name} at ${percent(1 - r.sparsity, 1)}: ${shown(of(r, key), 2)}`,
      })),
    })),
  })
}
