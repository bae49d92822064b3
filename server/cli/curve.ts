/** Of braille's dots, two columns and four rows a character, the bits by row and column (Unicode, U+2800). */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const

/** Columns that are left for the numbers at the axis. */
const MARGIN = 9

/** A value over the steps of a run, kept as means of as many parts of it as a terminal has columns of dots. */
export class Curve {
  readonly #name: string
  readonly #steps: number
  readonly #sums: Float64Array
  readonly #counts: Uint32Array

  /** @param columns characters of a line, those of the axis among them */
  constructor(name: string, steps: number, columns: number) {
    this.#name = name
    this.#steps = Math.max(1, steps)
    const dots = 2 * Math.max(8, columns - MARGIN)
    this.#sums = new Float64Array(dots)
    this.#counts = new Uint32Array(dots)
  }

  /** A value up to a step, counted from 1; what is no number is left out. */
  add(step: number, value: number): void {
    if (!Number.isFinite(value)) return
    const share = Math.min(1, Math.max(0, (step - 1) / this.#steps))
    const at = Math.min(this.#sums.length - 1, Math.floor(share * this.#sums.length))
    this.#sums[at] += value
    this.#counts[at]++
  }

  /** As `rows` lines, its highest and lowest value at the axis; none before there are two points. */
  lines(rows: number): string[] {
    const points = Array.from(this.#sums, (sum, i) =>
      this.#counts[i] > 0 ? sum / this.#counts[i] : undefined,
    )
    const known = points.flatMap((v) => v ?? [])
    if (known.length < 2) return []
    const [low, high] = [Math.min(...known), Math.max(...known)]
    const cells = Array.from({ length: rows }, () => new Uint8Array(points.length / 2))
    const heights = 4 * rows - 1
    const rowOf = (v: number) => Math.round(heights * (high > low ? (high - v) / (high - low) : 0.5))
    let before: { at: number; row: number } | undefined
    for (const [at, value] of points.entries()) {
      if (value === undefined) continue
      const row = rowOf(value)
      const from = before ?? { at, row }
      for (let x = from.at; x <= at; x++) {
        const y =
          at === from.at ? row : Math.round(from.row + ((row - from.row) * (x - from.at)) / (at - from.at))
        cells[y >> 2][x >> 1] |= DOTS[y & 3][x & 1]
      }
      before = { at, row }
    }
    const axis = (r: number) =>
      r === 0 ? high.toPrecision(3) : r === rows - 1 ? low.toPrecision(3) : r === 1 ? this.#name : ''
    return cells.map((cell, r) => {
      const drawn = Array.from(cell, (bits) => String.fromCharCode(0x2800 + bits)).join('')
      return `${axis(r)
        .slice(0, MARGIN - 1)
        .padStart(MARGIN - 1)} ${drawn}`
    })
  }
}
