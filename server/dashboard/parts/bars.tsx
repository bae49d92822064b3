import { bytes, none } from '../format.js'

interface MemoryProps {
  readonly measuredBytes: number | null
  readonly allowedBytes: number | null
}

/** Measured memory as a share of what is allowed. Over the allowance the bar is full and marked. */
export function MemoryBar({ measuredBytes, allowedBytes }: MemoryProps) {
  if (measuredBytes === null && allowedBytes === null) return <>{none}</>
  const share = measuredBytes !== null && allowedBytes ? measuredBytes / allowedBytes : null
  return (
    <div class="memory">
      <span class="numbers">
        <b>{bytes(measuredBytes)}</b>{' '}
        <span class="of">of {allowedBytes === null ? none : bytes(allowedBytes)}</span>
      </span>
      <Track share={share ?? 0} over={share !== null && share > 1} />
      {share !== null && share > 1 && <span class="over">over its allowance</span>}
    </div>
  )
}

const Track = ({ share, over = false }: { share: number; over?: boolean }) => (
  <svg
    class={over ? 'track over' : 'track'}
    viewBox="0 0 100 4"
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    <rect class="whole" width="100" height="4" />
    <rect class="part" width={100 * Math.min(1, share)} height="4" />
  </svg>
)

interface ProgressProps {
  readonly label: string
  readonly done: number
  readonly total: number
}

/** A bar for something under way; where the total is not known it says only that. */
export function ProgressBar({ label, done, total }: ProgressProps) {
  const share = total > 0 ? Math.min(1, done / total) : 0
  return (
    <div
      class={total > 0 ? 'progress' : 'progress open-ended'}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={total > 0 ? Math.round(share * 100) : undefined}
    >
      <Track share={share} />
    </div>
  )
}
