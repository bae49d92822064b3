import type { Device } from '../../http/schemas/index.js'
import { bytes } from '../format.js'
import { ProgressBar } from './bars.js'

/** How much of a variant a device has, while it fetches it. */
export function Fetching({ device: { id, online, candidate, progress } }: { device: Device }) {
  if (!online || progress === null || candidate === null) return null
  const { doneBytes, totalBytes } = progress
  return (
    <div class="fetching">
      <ProgressBar
        label={`${id} fetches ${candidate.name ?? candidate.variant.slice(0, 12)}`}
        done={doneBytes}
        total={totalBytes}
      />
      <small>
        {Math.floor((100 * doneBytes) / Math.max(1, totalBytes))} % of {bytes(totalBytes)}
      </small>
    </div>
  )
}
