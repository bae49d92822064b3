import { bytes, none, percent, plural } from '../format.js'
import { useBoard, useBoardMemory } from '../reads.js'
import { Section, WideTable } from './layout.js'

interface Props {
  readonly board: string
  readonly model: string
  readonly version: number
}

/** Memory of a model's variants on boards of one kind: predicted and measured where they were compiled, expected, reported. */
export function BoardMemory({ board, model, version }: Props) {
  const known = useBoard(board).data
  const memory = useBoardMemory(board, model, version).data
  if (known === null || memory === null || memory.length === 0) return null
  const { correction, corrected, medianError, reports, variants } = known
  const error = medianError.corrected === null ? none : percent(medianError.corrected)
  return (
    <Section
      title="Memory, predicted and measured"
      note={
        corrected
          ? `${plural(reports, 'report')} of ${plural(variants, 'variant')} by boards of this kind: they need ${correction.scale.toFixed(2)} × what is measured where variants are compiled, ${correction.offsetBytes < 0 ? 'less' : 'and'} ${bytes(Math.abs(correction.offsetBytes))}; half of them are within ${error} % of that.`
          : 'Boards of this kind have not reported enough yet: what is measured where variants are compiled is expected of them too.'
      }
    >
      <WideTable label="Memory, predicted and measured">
        <thead>
          <tr>
            <th scope="col">Variant</th>
            <th scope="col" class="number">
              Predicted
            </th>
            <th scope="col" class="number">
              Measured when compiled
            </th>
            <th scope="col" class="number">
              Expected on this board
            </th>
            <th scope="col" class="number">
              Reported by such boards
            </th>
          </tr>
        </thead>
        <tbody>
          {memory.map((m) => (
            <tr key={m.variant}>
              <th scope="row">{m.name}</th>
              <td class="number">{bytes(m.predictedRamBytes)}</td>
              <td class="number">{bytes(m.measuredRamBytes)}</td>
              <td class="number">{bytes(m.expectedRamBytes)}</td>
              <td class="number">{bytes(m.reportedRamBytes)}</td>
            </tr>
          ))}
        </tbody>
      </WideTable>
    </Section>
  )
}
