import { PassThrough } from 'node:stream'
import { Curve } from '@espalier/server/cli/curve.js'
import { Progress } from '@espalier/server/cli/output.js'
import { TrainingView } from '@espalier/server/cli/training-view.js'
import t from 'tap'

/** The dots of braille lines: whether there is one at a column and row. */
const dotsOf = (lines: readonly string[]) => {
  const bits = [
    [0x01, 0x08],
    [0x02, 0x10],
    [0x04, 0x20],
    [0x40, 0x80],
  ]
  return (x: number, y: number) => ((lines[y >> 2].codePointAt(9 + (x >> 1)) ?? 0) & bits[y & 3][x & 1]) !== 0
}

t.test('a curve goes from its highest value to its lowest, with both at the axis', (t) => {
  const curve = new Curve('loss', 100, 29)
  t.same(curve.lines(3), [])
  for (let step = 1; step <= 100; step++) curve.add(step, 2 - step / 100)
  curve.add(50, Number.NaN)
  const lines = curve.lines(3)
  t.equal(lines.length, 3)
  t.ok(lines.every((l) => l.length === 29))
  t.match(lines[0], /^ +1\.9\d /)
  t.match(lines[1], /^ +loss /)
  t.match(lines[2], /^ +1\.0\d /)
  const dot = dotsOf(lines)
  t.ok(dot(0, 0) && dot(39, 11), 'from the upper left to the lower right')
  for (let x = 0; x < 40; x++)
    t.equal(
      Array.from({ length: 12 }, (_, y) => dot(x, y)).filter(Boolean).length,
      1,
      `one dot in column ${x}`,
    )
  t.end()
})

t.test('what was not told yet stays empty, gaps are bridged', (t) => {
  const curve = new Curve('right', 10, 29)
  curve.add(1, 0)
  curve.add(5, 1)
  const dot = dotsOf(curve.lines(2))
  const column = (x: number) => Array.from({ length: 8 }, (_, y) => dot(x, y)).some(Boolean)
  for (let x = 0; x <= 16; x++) t.ok(column(x))
  for (let x = 17; x < 40; x++) t.notOk(column(x))
  t.end()
})

/** A stream that says what it is. */
function terminal(more: object) {
  const stream = Object.assign(new PassThrough(), more)
  let written = ''
  stream.on('data', (text) => {
    written += text
  })
  return { stream: stream as never, written: () => written }
}

const steps = Array.from({ length: 6 }, (_, i) => ({
  ...{ step: i + 1, steps: 6, epoch: 1, loss: 1 / (i + 1), accuracy: i / 6 },
  ...{ imagesPerSecond: 10, secondsLeft: 5 - i },
}))
const view = async (stream: never, quiet = false) => {
  const progress = new Progress(stream, quiet)
  const drawn = new TrainingView(progress)
  for (const step of steps) {
    drawn.update(step)
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  progress.done()
}

t.test('curves are drawn on a terminal that is high enough, nowhere else, and taken away', async (t) => {
  const wide = terminal({ isTTY: true, columns: 120, rows: 30 })
  await view(wide.stream)
  t.match(wide.written(), /[\u2801-\u28ff]/)
  t.ok(wide.written().includes('\x1b[8A'), 'over what was drawn before')
  t.ok(wide.written().endsWith('\r\x1b[8A\x1b[J'))
  t.match(wide.written(), /loss 0\.1667, 83\.33 % right, 10 images\/s, 0 s left/)
  const low = terminal({ isTTY: true, columns: 80, rows: 6 })
  await view(low.stream)
  t.notMatch(low.written(), /[\u2801-\u28ff]/)
  const file = terminal({ isTTY: false })
  await view(file.stream)
  t.equal(file.written(), 'epoch 1\n')
  for (const isTTY of [true, false]) {
    const quiet = terminal({ isTTY, columns: 80, rows: 30 })
    await view(quiet.stream, true)
    t.equal(quiet.written(), '')
  }
})
