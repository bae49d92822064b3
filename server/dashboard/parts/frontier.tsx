import type { FrontierPoint } from '../../compiler/frontier.js'
import type { Variant } from '../../http/schemas/index.js'
import { FrontierPlot } from '../charts/frontier-plot.js'
import { bytes, none, percent } from '../format.js'
import { Section, WideTable } from './layout.js'

/** How much more saliency a further MB brings, as a share of all. */
const gain = (before: FrontierPoint, after: FrontierPoint) =>
  (after.saliency - before.saliency) / ((after.memoryBytes - before.memoryBytes) / 1e6)

/** What each further MB of memory would buy, drawn and as a table. */
export function Frontier({
  points,
  variants,
}: {
  readonly points: readonly FrontierPoint[]
  readonly variants: readonly Variant[]
}) {
  if (points.length < 2) return null
  return (
    <Section
      title="What each further MB buys"
      note="As expected of this network, under a budget of memory alone, before fine-tuning; saliency is 0 % at the floor, below which pruning cannot go."
    >
      <FrontierPlot points={points} variants={variants} />
      <WideTable label="What each further MB buys">
        <thead>
          <tr>
            <th scope="col">Memory</th>
            {['Saliency', 'MACs', 'Parameters', 'Saliency for a further MB'].map((name) => (
              <th scope="col" class="number" key={name}>
                {name} <small>%</small>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.map((p, i) => (
            <tr key={p.memoryBytes}>
              <th scope="row">{bytes(p.memoryBytes)}</th>
              <td class="number">{percent(p.saliency)}</td>
              <td class="number">{percent(p.macs)}</td>
              <td class="number">{percent(p.params)}</td>
              <td class="number">{i === 0 ? none : percent(gain(points[i - 1], p))}</td>
            </tr>
          ))}
        </tbody>
      </WideTable>
    </Section>
  )
}
