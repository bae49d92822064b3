import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import type { Report } from '../../http/schemas/index.js'
import { ms, time } from '../format.js'
import { useMedia, useWidth } from '../hooks.js'

interface LatencyChartProps {
  /** Of one device, oldest first. */
  readonly reports: readonly Report[]
  /** What to call a variant, by its digest. */
  readonly nameOf: (digest: string) => string
}

interface Change {
  readonly atS: number
  readonly name: string
}

/** Of the last time under the axis, px: what it may stand out by. */
const halfLabel = 28

const heightOf = (width: number) => (width < 500 ? 220 : 280)

/** p50 and p95 over time with the band between them; where the variant changed and where the device throttled. */
export function LatencyChart({ reports, nameOf }: LatencyChartProps) {
  const [host, setHost] = useState<HTMLDivElement | null>(null)
  const [measure, width] = useWidth<HTMLDivElement>()
  const dark = useMedia('(prefers-color-scheme: dark)')
  const plot = useRef<uPlot | null>(null)
  const [pointed, setPointed] = useState<number | null>(null)
  const changes = useRef<Change[]>([])
  changes.current = changesOf(reports, nameOf)
  const data = columnsOf(reports)

  useEffect(() => {
    if (host === null || width === 0) return
    const made = new uPlot(
      optionsFor(host, width, () => changes.current, setPointed),
      data,
      host,
    )
    plot.current = made
    return () => {
      plot.current = null
      made.destroy()
    }
  }, [host, dark, width === 0])

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height: heightOf(width) })
  }, [width])

  useEffect(() => plot.current?.setData(data), [reports])

  const names = changes.current.map((c) => c.name).join('\n')
  useEffect(() => plot.current?.redraw(false), [names])

  return (
    <figure class="chart">
      <div ref={measure}>
        <div ref={setHost} role="img" aria-label={describe(reports)} data-points={reports.length} />
      </div>
      <figcaption class="legend">
        <span class="key p50">p50</span>
        <span class="key p95">p95</span>
        <span class="key throttled">throttled</span>
        <span class="key change">variant changed</span>
        <span class="hint">
          {pointed !== null && reports[pointed] !== undefined
            ? readout(reports[pointed], nameOf)
            : 'Drag to look closer, double-click to see all.'}
        </span>
      </figcaption>
    </figure>
  )
}

const readout = ({ at, p50Ms, p95Ms, variant }: Report, nameOf: (digest: string) => string) =>
  `${time(at)}: p50 ${ms(p50Ms)} ms, p95 ${ms(p95Ms)} ms, ${nameOf(variant)}`

function describe(reports: readonly Report[]): string {
  const last = reports.at(-1)
  if (last === undefined) return 'No report yet'
  return `Latency over ${reports.length} reports; the last: p50 ${ms(last.p50Ms)} ms, p95 ${ms(last.p95Ms)} ms. The table below has the values.`
}

/** uPlot's columns: time in seconds, p50, p95, and p50 again only where the device throttled. */
const columnsOf = (reports: readonly Report[]): uPlot.AlignedData => [
  reports.map((r) => r.at / 1000),
  reports.map((r) => r.p50Ms),
  reports.map((r) => r.p95Ms),
  reports.map((r) => (r.throttled ? r.p50Ms : null)),
]

const changesOf = (reports: readonly Report[], nameOf: (digest: string) => string): Change[] =>
  reports.flatMap((report, i) =>
    i > 0 && reports[i - 1].variant === report.variant
      ? []
      : [{ atS: report.at / 1000, name: nameOf(report.variant) }],
  )

/** The narrowest time span shown, so that one report alone has an axis too. */
const leastSpanS = 60

function optionsFor(
  host: HTMLElement,
  width: number,
  changes: () => readonly Change[],
  point: (index: number | null) => void,
): uPlot.Options {
  const font = `12px ${getComputedStyle(host).fontFamily}`
  const colour = (name: string) => resolved(host, name)
  const axis = {
    stroke: colour('--ink-2'),
    font,
    labelFont: font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  }
  const line = { width: 1.75, spanGaps: true }
  return {
    width,
    height: heightOf(width),
    padding: [18, halfLabel, 0, 0],
    cursor: { y: false, points: { size: 7 } },
    legend: { show: false },
    scales: {
      x: {
        range: (u, low, high) => {
          if (u.data[0].length === 1) return [low - leastSpanS / 2, low + leastSpanS / 2]
          const pad = Math.max((leastSpanS - (high - low)) / 2, (high - low) * 0.02)
          return [low - pad, high + pad]
        },
      },
      y: { range: (_, _low, high) => [0, (high || 1) * 1.15] },
    },
    axes: [
      { ...axis, values: timeValues, space: 90, size: 28 },
      { ...axis, label: 'ms', labelSize: 18, size: 46, space: 40 },
    ],
    series: [
      {},
      {
        ...line,
        label: 'p50',
        stroke: colour('--series-1'),
        points: { size: 5, fill: colour('--series-1') },
      },
      {
        ...line,
        label: 'p95',
        stroke: colour('--series-2'),
        dash: [5, 3],
        points: { size: 5, fill: colour('--page') },
      },
      {
        label: 'throttled',
        stroke: colour('--bad'),
        paths: () => null,
        points: { show: true, size: 11, width: 2, stroke: colour('--bad'), fill: 'transparent' },
      },
    ],
    bands: [{ series: [2, 1], fill: colour('--band') }],
    hooks: {
      draw: [(u) => drawChanges(u, changes(), colour('--ink-2'), font)],
      setCursor: [(u) => point(u.cursor.idx ?? null)],
    },
  }
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const minutes = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

function timeValues(_: uPlot, splits: number[], _axis: number, _space: number, stepS: number): string[] {
  const form = stepS < 60 ? clock : stepS < 86_400 ? minutes : day
  return splits.map((s) => form.format(s * 1000))
}

/** The colour that a custom property stands for here, which a canvas cannot work out by itself. */
function resolved(host: HTMLElement, name: string): string {
  host.style.color = `var(${name})`
  const { color } = getComputedStyle(host)
  host.style.color = ''
  return color
}

/** A thin upright line with the variant's name where one took over; a name that would cover the one before is left out. */
function drawChanges(u: uPlot, changes: readonly Change[], colour: string, font: string): void {
  const { ctx } = u
  const ratio = devicePixelRatio
  const { left, top, width, height } = u.bbox
  ctx.save()
  ctx.textAlign = 'left' // the axes, drawn before, leave it as they had it
  ctx.strokeStyle = colour
  ctx.fillStyle = colour
  ctx.font = font.replace(/^\d+/, (px) => String(Number(px) * ratio))
  ctx.setLineDash([2 * ratio, 3 * ratio])
  let free = left
  for (const { atS, name } of changes) {
    const x = Math.round(u.valToPos(atS, 'x', true))
    if (x < left || x > left + width) continue
    ctx.beginPath()
    ctx.moveTo(x, top)
    ctx.lineTo(x, top + height)
    ctx.stroke()
    const textWidth = ctx.measureText(name).width
    const start = Math.min(x, left + width - textWidth)
    if (start < free) continue
    ctx.fillText(name, start, top - 6 * ratio)
    free = start + textWidth + 8 * ratio
  }
  ctx.restore()
}
