import type { Point } from './points.js'

interface Placed {
  readonly point: Point
  readonly x: number
  readonly y: number
  readonly r: number
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

/** Puts each name beside its dot where it covers no dot and no other name, greedily; one without a place is left out. */
export function placeLabels(named: readonly Placed[], all: readonly Placed[], within: Box): Label[] {
  const taken: Box[] = all.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }))
  const labels: Label[] = []
  for (const { point, x, y, r } of named) {
    const width = point.label.length * letterWidth
    const candidates: Label[] = [
      { x, y: y - r - 6, anchor: 'middle' as const },
      { x, y: y + r + 16, anchor: 'middle' as const },
      { x: x + r + 6, y: y + 4, anchor: 'start' as const },
      { x: x - r - 6, y: y + 4, anchor: 'end' as const },
    ].map((place) => ({ ...place, key: point.key, text: point.label }))
    for (const label of candidates) {
      const box = boxOf(label, width)
      if (
        box.left < within.left ||
        box.right > within.right ||
        box.top < within.top ||
        box.bottom > within.bottom
      )
        continue
      if (taken.some((other) => overlap(box, other))) continue
      taken.push(box)
      labels.push(label)
      break
    }
  }
  return labels
}

function boxOf({ x, y, anchor }: Label, width: number): Box {
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2
  return { left, right: left + width, top: y - lineHeight + 4, bottom: y + 4 }
}

const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
