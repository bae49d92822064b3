import type { CompilationStage } from '../../http/schemas/index.js'
import { percent } from '../format.js'

const width = 600
const height = 90

/** Training loss and accuracy over the steps done; loss from zero to its highest, accuracy from 0 to 100 %. */
export function TrainingCurve({ training, total }: Pick<CompilationStage, 'training' | 'total'>) {
  const last = training[training.length - 1]
  const highest = Math.max(...training.map((t) => t.loss)) || 1
  const x = (done: number) => (done / Math.max(total, last.done, 1)) * width
  const path = (points: readonly (readonly [number, number])[]) =>
    `M${points.map(([px, share]) => `${px.toFixed(1)} ${(height - share * height).toFixed(1)}`).join('L')}`
  const loss = path(training.map((t) => [x(t.done), t.loss / highest] as const))
  const rated = training.flatMap((t) => (t.accuracy === null ? [] : [[x(t.done), t.accuracy] as const]))
  return (
    <div class="training">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
        <line x1="0" x2={width} y1={height} y2={height} />
        <path class="loss" d={loss} />
        {rated.length > 1 && <path class="accuracy" d={path(rated)} />}
      </svg>
      <p class="legend">
        <span class="key p50">loss {last.loss.toFixed(4)}</span>
        {last.accuracy !== null && (
          <span class="key p95">accuracy {percent(last.accuracy)} % of training samples</span>
        )}
      </p>
    </div>
  )
}
