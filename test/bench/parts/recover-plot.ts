import type { Curve, Step } from '../recover.js'

const WIDTH = 760
const HEIGHT = 420
const LEFT = 60
const RIGHT = 190
const TOP = 30
const BOTTOM = 50
const colours = ['#2563eb', '#d97706', '#059669']
const shapes: Readonly<Record<Step['step'], string>> = {
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
export function drawing(curves: readonly Curve[]): string {
  const seconds = curves.flatMap((c) => c.steps.map((s) => spent(c, s)))
  const most = Math.max(10, ...seconds)
  const x = (s: number) =>
    LEFT + ((WIDTH - LEFT - RIGHT) * Math.log10(1 + Math.max(0, s))) / Math.log10(1 + most)
  const y = (top1: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - top1)
  const text = (at: readonly [number, number], words: string, more = '') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${words}</text>`
  const lines: string[] = []
  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    lines.push(`<path d="M${LEFT} ${y(share)}H${WIDTH - RIGHT}" stroke="#e5e7eb"/>`)
    lines.push(text([LEFT - 8, y(share) + 4], `${100 * share} %`, 'text-anchor="end"'))
  }
  for (const s of [0, 1, 10, 100, 1000].filter((v) => v <= most))
    lines.push(text([x(s), HEIGHT - BOTTOM + 18], `${s}`, 'text-anchor="middle"'))
  lines.push(
    text([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10], 'CPU seconds after pruning', 'text-anchor="middle"'),
  )
  for (const [i, curve] of curves.entries()) {
    const colour = colours[i % colours.length]
    lines.push(
      `<path d="M${LEFT} ${y(curve.dense)}H${WIDTH - RIGHT}" stroke="${colour}" stroke-dasharray="2 5"/>`,
    )
    const main = curve.steps.filter((s) => !aside.includes(s.step))
    const points = main.map((s) => `${x(spent(curve, s)).toFixed(1)} ${y(s.top1).toFixed(1)}`)
    lines.push(`<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    for (const s of curve.steps) {
      const open = aside.includes(s.step) ? 'white' : colour
      const [cx, cy] = [x(spent(curve, s)), y(s.top1)]
      const title = `${curve.network}, ${shapes[s.step]}: ${(100 * s.top1).toFixed(2)} % after ${spent(curve, s).toFixed(1)} s`
      lines.push(
        `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="4" fill="${open}" stroke="${colour}"><title>${title}</title></circle>`,
      )
    }
    const last = `${curve.network} (dense ${(100 * curve.dense).toFixed(1)} %)`
    lines.push(text([WIDTH - RIGHT + 12, TOP + 20 + 22 * i], last, `fill="${colour}"`))
  }
  const legend = [
    'line: pruned, statistics,',
    'repair, two epochs towards',
    'the dense answers, no labels;',
    'open: ten epochs with labels',
  ]
  for (const [i, words] of legend.entries()) lines.push(text([WIDTH - RIGHT + 12, TOP + 110 + 16 * i], words))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>${lines.join('')}</svg>\n`
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
