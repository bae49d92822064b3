import type { Point } from './points.js'

/** A dot in pixels. */
export interface Placed {
  readonly point: Point
  readonly x: number
  readonly y: number
  readonly r: number
}

/** The dots of one variant, which share a height. */
export interface Row {
  readonly key: string
  readonly name: string
  readonly y: number
  readonly left: number
  readonly right: number
  /** Its first and its last dot. */
  readonly ends: readonly { readonly x: number; readonly r: number }[]
}

export interface Label {
  readonly key: string
  readonly text: string
  readonly x: number
  readonly y: number
  readonly anchor: 'start' | 'middle' | 'end'
}

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

const letterWidth = 7
const lineHeight = 16

/** Puts each row's name where it covers no dot and no other name, greedily; one without a place is left out. */
export function placeLabels(rows: readonly Row[], dots: readonly Placed[], within: Box): Label[] {
  const taken: Box[] = dots.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }))
  const labels: Label[] = []
  for (const row of rows) {
    const width = row.name.length * letterWidth
    for (const label of candidates(row)) {
      const box = boxOf(label, width)
      if (box.left < within.left || box.right > within.right) continue
      if (box.top < within.top || box.bottom > within.bottom) continue
      if (taken.some((other) => overlap(box, other))) continue
      taken.push(box)
      labels.push(label)
      break
    }
  }
  return labels
}

/** After the row, before it, then above and below its ends. */
function candidates({ key, name, y, ends: [first, last] }: Row): Label[] {
  const places: Omit<Label, 'key' | 'text'>[] = [
    { x: last.x + last.r + 6, y: y + 4, anchor: 'start' },
    { x: first.x - first.r - 6, y: y + 4, anchor: 'end' },
    { x: first.x, y: y - first.r - 6, anchor: 'middle' },
    { x: first.x, y: y + first.r + 16, anchor: 'middle' },
    { x: last.x, y: y - last.r - 6, anchor: 'middle' },
    { x: last.x, y: y + last.r + 16, anchor: 'middle' },
  ]
  return places.map((place) => ({ ...place, key, text: name }))
}

function boxOf({ x, y, anchor }: Label, width: number): Box {
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2
  return { left, right: left + width, top: y - lineHeight + 4, bottom: y + 4 }
}

const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
