import { evenTicks, linePlot, percent, type Series } from '@espalier/server/compiler/drawing/index.js'
import t from 'tap'

const line = (name: string, height: number): Series => ({
  ...{ name, colour: '#000' },
  points: [
    [0, 0],
    [1, height],
  ],
})
const drawn = (series: readonly Series[], ticks = evenTicks(0, 1, 3, percent)) =>
  linePlot({ title: 'A <plot>', x: { ticks }, y: { ticks: evenTicks(0, 1, 3, percent) }, series })
const heights = (svg: string, name: RegExp) =>
  [...svg.matchAll(/ y="([\d.]+)"[^>]*>([^<]*)<\/text>/g)].flatMap(([, y, words]) =>
    name.test(words) ? [Number(y)] : [],
  )

t.test('a line goes from corner to corner of the axes, whichever way they run', (t) => {
  const rising = /points="64.0,276.0 512.0,16.0"/
  t.match(drawn([line('a', 1)]), rising)
  t.match(drawn([line('a', 0)]), /points="64.0,276.0 512.0,276.0"/)
  t.match(drawn([line('a', 1)], [...evenTicks(0, 1, 3, percent)].reverse()), /points="512.0,276.0 64.0,16.0"/)
  t.end()
})

t.test('names of lines that end together do not cover one another, nor do ticks', (t) => {
  const ends = heights(drawn([line('one', 0.5), line('two', 0.5), line('three', 0.51)]), /one|two|three/)
  ends.sort((a, b) => a - b)
  t.equal(ends.length, 3)
  t.ok(ends.every((y, i) => i === 0 || y - ends[i - 1] >= 14))
  const many = drawn(
    [],
    evenTicks(0, 1, 100, (at) => `tick ${at}`),
  )
  t.ok((many.match(/tick/g) ?? []).length < 30)
  t.end()
})

t.test('words are escaped, and a plot of nothing is one', (t) => {
  const svg = drawn([{ ...line('<b>&', 1), dots: [{ title: '<', words: '"' }] }])
  t.notMatch(svg, /<b>|A <plot>/)
  t.match(svg, /A &#60;plot&#62;/)
  t.notMatch(linePlot({ title: '', x: { ticks: [] }, y: { ticks: [] }, series: [line('', 1)] }), /NaN/)
  t.end()
})
