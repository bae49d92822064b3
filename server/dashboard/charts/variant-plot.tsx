import { useRef, useState } from 'preact/hooks'
import { bytes, ms, percent } from '../format.js'
import { useWidth } from '../hooks.js'
import { type Placed, placeLabels, type Row } from './labels.js'
import type { Point } from './points.js'
import { linearScale, logScale, type Scale } from './scale.js'

const largestRadius = 22
const leastRadius = 5
const seriesCount = 6

/**
 * Accuracy over latency; a dot's area is the memory. Rings were measured where the variant was compiled, discs on
 * devices. One Tab reaches the plot, arrow keys go from point to point, Escape puts the values away.
 */
export function VariantPlot({ points }: { points: readonly Point[] }) {
  const [measure, width] = useWidth<HTMLDivElement>()
  const [shown, setShown] = useState<string | null>(null)
  const dots = useRef(new Map<string, HTMLButtonElement>())
  if (points.length === 0) return null

  const height = width < 500 ? 320 : 400
  const inner = { left: 52, right: width - 16, top: 28, bottom: height - 46 }
  const x = latencyScale(points, [inner.left, inner.right])
  const y = linearScale(spread(points.map((p) => p.top1 * 100)), [inner.bottom, inner.top], height / 65)
  const largest = Math.max(...points.map((p) => p.memoryBytes ?? 0), 1)
  const radius = (memory: number | null) =>
    Math.max(leastRadius, largestRadius * Math.sqrt((memory ?? 0) / largest))

  const ordered = [...points].sort((a, b) => a.latencyMs - b.latencyMs)
  const placed = points.map((point) => ({
    point,
    x: x(point.latencyMs),
    y: y(point.top1 * 100),
    r: radius(point.memoryBytes),
  }))
  const rows = rowsOf(placed)
  const labels = placeLabels(rows, placed, inner)
  const seriesOf = seriesByPlace(points)
  const current = placed.find(({ point }) => point.key === shown)
  const reachable = current?.point.key ?? ordered[0].key

  const onKeyDown = (event: KeyboardEvent) => {
    const at = ordered.findIndex((p) => p.key === reachable)
    const to = {
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      Home: 0,
      End: ordered.length - 1,
    }[event.key]
    if (event.key === 'Escape') setShown(null)
    const next = to === undefined ? undefined : ordered[to]
    if (to !== undefined) event.preventDefault()
    if (next !== undefined) dots.current.get(next.key)?.focus()
  }

  return (
    <figure class="chart">
      <div class="plot" ref={measure}>
        {width > 0 && (
          <>
            <svg width={width} height={height} aria-hidden="true">
              <g class="axis">
                {y.ticks.map((tick) => (
                  <g key={tick} data-axis="y" data-value={tick} data-at={y(tick)}>
                    <line x1={inner.left} x2={inner.right} y1={y(tick)} y2={y(tick)} />
                    <text x={inner.left - 8} y={y(tick)} dy="0.35em" text-anchor="end">
                      {y.text(tick)}
                    </text>
                  </g>
                ))}
                {x.ticks.map((tick) => (
                  <g key={tick} data-axis="x" data-value={tick} data-at={x(tick)}>
                    <line x1={x(tick)} x2={x(tick)} y1={inner.bottom} y2={inner.bottom + 4} />
                    <text x={x(tick)} y={inner.bottom + 18} text-anchor="middle">
                      {x.text(tick)}
                    </text>
                  </g>
                ))}
                <text x={inner.right} y={height - 8} text-anchor="end">
                  latency p50, ms →
                </text>
                <text x={0} y={12}>
                  ↑ top-1, %
                </text>
              </g>
              <g class="rows">
                {rows.map(({ key, y: at, left, right }) => (
                  <line key={key} x1={left} x2={right} y1={at} y2={at} />
                ))}
              </g>
              <g class="names">
                {labels.map(({ key, text, x: lx, y: ly, anchor }) => (
                  <text key={key} x={lx} y={ly} text-anchor={anchor}>
                    {text}
                  </text>
                ))}
              </g>
            </svg>
            <ul class="points" aria-label="Accuracy over latency, one point a measurement">
              {[...placed]
                .sort((a, b) => b.r - a.r)
                .map(({ point, x: cx, y: cy, r }) => (
                  <li key={point.key}>
                    <button
                      type="button"
                      ref={(dot) => {
                        if (dot === null) dots.current.delete(point.key)
                        else dots.current.set(point.key, dot)
                      }}
                      class={classOf(point, seriesOf)}
                      style={{
                        left: `${cx - r}px`,
                        top: `${cy - r}px`,
                        width: `${2 * r}px`,
                        height: `${2 * r}px`,
                      }}
                      tabIndex={point.key === reachable ? 0 : -1}
                      aria-label={sentence(point)}
                      data-latency-ms={point.latencyMs}
                      data-top1={point.top1}
                      data-memory-bytes={point.memoryBytes ?? undefined}
                      onKeyDown={onKeyDown}
                      onFocus={() => setShown(point.key)}
                      onBlur={() => setShown(null)}
                      onPointerEnter={() => setShown(point.key)}
                      onPointerLeave={() => setShown(null)}
                    />
                  </li>
                ))}
            </ul>
          </>
        )}
        {current !== undefined && <Values of={current} width={width} />}
      </div>
      <figcaption class="legend">
        <span class="key ring">where it was compiled</span>
        {[...seriesOf].map(([place, series]) => (
          <span class={`key dot series-${series}`} key={place}>
            {place}
          </span>
        ))}
        {points.some((p) => p.variant === null) && <span class="key dense">dense network, same recipe</span>}
        {points.some(({ variant }) => variant !== null && variant.withdrawnAt !== null) && (
          <span class="key withdrawn">withdrawn</span>
        )}
        <span class="hint">The area of a dot is its memory; the largest is {bytes(largest)}.</span>
      </figcaption>
    </figure>
  )
}

/** Logarithmic where unlike devices lie far apart: there ratios matter. */
function latencyScale(points: readonly Point[], range: readonly [number, number]): Scale {
  const least = Math.min(...points.map((p) => p.latencyMs))
  const most = Math.max(...points.map((p) => p.latencyMs))
  if (least > 0 && most > 4 * least) return logScale([least * 0.9, most * 1.1], range)
  return linearScale([least * 0.8, most * 1.1], range, Math.max(3, (range[1] - range[0]) / 110))
}

/** A little air on both sides; never beyond 100 %. */
function spread(values: readonly number[]): [number, number] {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const air = Math.max((high - low) * 0.15, 0.1)
  return [Math.max(0, low - air), Math.min(100, high + air)]
}

/** What was measured of one variant lies on one height: its row, from its leftmost to its rightmost dot. */
function rowsOf(placed: readonly Placed[]): Row[] {
  const rows = Map.groupBy(placed, ({ point }) => point.variant?.id ?? 'dense')
  return [...rows].map(([key, dots]) => {
    const sorted = dots.toSorted((a, b) => a.x - b.x)
    const last = sorted[sorted.length - 1]
    const name = sorted[0].point.label
    const left = { x: sorted[0].x, r: sorted[0].r }
    return { key, name, y: sorted[0].y, left: left.x, right: last.x, ends: [left, last] }
  })
}

/** A colour for each device; where there are more than colours, one for all. */
function seriesByPlace(points: readonly Point[]): Map<string, number> {
  const devices = [...new Set(points.flatMap((p) => p.device ?? []))]
  if (devices.length > seriesCount) return new Map([['devices', 1]])
  return new Map(devices.map((device, i) => [device, i + 1]))
}

function classOf({ variant, device }: Point, seriesOf: ReadonlyMap<string, number>): string {
  const withdrawn = variant !== null && variant.withdrawnAt !== null ? ' withdrawn' : ''
  if (variant === null) return 'point dense'
  if (device === null) return `point ring${withdrawn}`
  return `point dot series-${seriesOf.get(device) ?? 1}${withdrawn}`
}

const placeOf = ({ device }: Point) => (device === null ? 'where it was compiled' : `on ${device}`)

const sentence = (point: Point) =>
  `${point.label}, ${placeOf(point)}: p50 ${ms(point.latencyMs)} ms, top-1 ${percent(point.top1)} %, memory ${bytes(point.memoryBytes)}`

const valuesWidth = 190

function Values({
  of: { point, x, y, r },
  width,
}: {
  of: { point: Point; x: number; y: number; r: number }
  width: number
}) {
  const left = Math.max(0, Math.min(x - valuesWidth / 2, width - valuesWidth))
  const below = y < 150
  const style = { left: `${left}px`, width: `${valuesWidth}px`, top: `${below ? y + r + 8 : y - r - 8}px` }
  return (
    <div class={below ? 'values below' : 'values'} style={style} aria-hidden="true">
      <b>{point.label}</b>
      <span>{placeOf(point)}</span>
      <dl>
        <dt>p50</dt>
        <dd>{ms(point.latencyMs)} ms</dd>
        <dt>top-1</dt>
        <dd>{percent(point.top1)} %</dd>
        <dt>memory</dt>
        <dd>{bytes(point.memoryBytes)}</dd>
      </dl>
    </div>
  )
}
