import type { Report } from '../../http/schemas/index.js'
import { ms } from '../format.js'

const width = 120
const height = 30
const margin = 4

/** p50 of the newest reports, oldest first, with the band up to p95. The axis begins at half of the least p50. */
export function Sparkline({ reports }: { reports: readonly Report[] }) {
  if (reports.length === 0) return <span class="waiting">no report yet</span>
  const top = Math.max(...reports.map((r) => r.p95Ms ?? r.p50Ms)) || 1
  const bottom = Math.min(...reports.map((r) => r.p50Ms)) / 2
  const x = (i: number) => margin + (i / Math.max(1, reports.length - 1)) * (width - 2 * margin)
  const y = (value: number) =>
    height - margin - ((value - bottom) / (top - bottom || 1)) * (height - 2 * margin)
  const p50 = reports.map((r, i) => [x(i), y(r.p50Ms)] as const)
  const p95 = reports.map((r, i) => [x(i), y(r.p95Ms ?? r.p50Ms)] as const)
  const path = (points: readonly (readonly [number, number])[]) =>
    points.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join('L')
  const last = reports.length - 1
  const label = `p50 of the last ${reports.length} reports: ${reports
    .slice(-5)
    .map((r) => ms(r.p50Ms))
    .join(', ')} ms at the end`
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
      data-points={reports.length}
    >
      <path class="band" d={`M${path(p50)}L${path(p95.toReversed())}Z`} />
      <path class="line" d={`M${path(p50)}`} />
      {reports.map(
        (report, i) =>
          report.throttled && <circle class="throttled" key={report.id} cx={x(i)} cy={p50[i][1]} r="2.2" />,
      )}
      <circle class="newest" cx={x(reports.length === 1 ? 0 : last)} cy={p50[last][1]} r="2.6" />
    </svg>
  )
}
