import type { FrontierPoint } from '../../compiler/frontier.js'
import type { Variant } from '../../http/schemas/index.js'
import { bytes, percent } from '../format.js'
import { useWidth } from '../hooks.js'
import { linearScale } from './scale.js'

const height = 300
const lines = [
  ['saliency', 1],
  ['macs', 2],
] as const satisfies (readonly [keyof FrontierPoint, number])[]
const names = { saliency: 'saliency kept', macs: 'MACs kept' } as const

interface FrontierProps {
  readonly points: readonly FrontierPoint[]
  readonly variants: readonly Variant[]
}

/**
 * What budgets of memory buy: shares of saliency and MACs kept over the memory expected of them; rings are variants at
 * their measured memory and accuracy. The table below says the same in numbers.
 */
export function FrontierPlot({ points, variants }: FrontierProps) {
  const [measure, width] = useWidth<HTMLDivElement>()
  const made = variants.flatMap(({ id, name, measuredRamBytes: memoryBytes, top1 }) =>
    memoryBytes === null || top1 === null ? [] : [{ id, name, memoryBytes, top1 }],
  )
  const memories = [...points, ...made].map((p) => p.memoryBytes / 1e6)
  const inner = { left: 52, right: width - 16, top: 28, bottom: height - 46 }
  const x = linearScale(
    [Math.min(...memories), Math.max(...memories)],
    [inner.left, inner.right],
    width / 110,
  )
  const y = linearScale([0, 100], [inner.bottom, inner.top], 4)
  return (
    <figure class="chart">
      <div class="plot" ref={measure}>
        {width > 0 && (
          <svg width={width} height={height} aria-hidden="true">
            <g class="axis">
              {y.ticks.map((tick) => (
                <g key={tick}>
                  <line x1={inner.left} x2={inner.right} y1={y(tick)} y2={y(tick)} />
                  <text x={inner.left - 8} y={y(tick)} dy="0.35em" text-anchor="end">
                    {y.text(tick)}
                  </text>
                </g>
              ))}
              {x.ticks.map((tick) => (
                <g key={tick}>
                  <line x1={x(tick)} x2={x(tick)} y1={inner.bottom} y2={inner.bottom + 4} />
                  <text x={x(tick)} y={inner.bottom + 18} text-anchor="middle">
                    {x.text(tick)}
                  </text>
                </g>
              ))}
              <text x={inner.right} y={height - 8} text-anchor="end">
                memory, MB →
              </text>
              <text x={0} y={12}>
                ↑ share, %
              </text>
            </g>
            {lines.map(([key, series]) => (
              <polyline
                key={key}
                class={`frontier series-${series}`}
                points={points.map((p) => `${x(p.memoryBytes / 1e6)},${y(100 * p[key])}`).join(' ')}
              />
            ))}
            {made.map(({ id, name, memoryBytes, top1 }) => (
              <circle key={id} class="frontier" cx={x(memoryBytes / 1e6)} cy={y(100 * top1)} r="5">
                <title>{`${name}: top-1 ${percent(top1)} % in ${bytes(memoryBytes)}`}</title>
              </circle>
            ))}
          </svg>
        )}
      </div>
      <figcaption class="legend">
        {lines.map(([key, series]) => (
          <span key={key} class={`key line series-${series}`}>
            {names[key]}
          </span>
        ))}
        {made.length > 0 && <span class="key ring">top-1 of variants, as measured</span>}
      </figcaption>
    </figure>
  )
}
