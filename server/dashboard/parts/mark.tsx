import type { Compilation, Device } from '../../http/schemas/index.js'

/** What a state means to whoever watches. Each has its own shape, so that colour is never needed to tell. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet'

const shapes: Record<Tone, preact.ComponentChild> = {
  good: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  busy: (
    <>
      <circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M6 1.5a4.5 4.5 0 0 1 0 9z" fill="currentColor" />
    </>
  ),
  warn: <path d="M6 1 11.4 10.6H.6z" fill="currentColor" />,
  bad: <path d="M6 .6 11.4 6 6 11.4.6 6z" fill="currentColor" />,
  quiet: <circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" />,
}

export function Mark({ tone, children }: { tone: Tone; children: preact.ComponentChildren }) {
  return (
    <span class={`mark ${tone}`}>
      <svg viewBox="0 0 12 12" aria-hidden="true">
        {shapes[tone]}
      </svg>
      {children}
    </span>
  )
}

const deviceTones: Record<string, Tone> = {
  idle: 'quiet',
  fetching: 'busy',
  verified: 'busy',
  benchmarking: 'busy',
  armed: 'busy',
  probation: 'busy',
  active: 'good',
  rejected: 'warn',
  failed: 'bad',
  'rolled-back': 'warn',
}

/** A device's state as it last reported it; one that is away says so first. */
export function DeviceState({ device }: { device: Device }) {
  const { online, state, error, lastSeenAt } = device
  if (lastSeenAt === null) return <Mark tone="quiet">never connected</Mark>
  if (!online) return <Mark tone="warn">offline</Mark>
  if (error !== null) return <Mark tone="bad">{error.code}</Mark>
  if (state === null) return <Mark tone="quiet">connected</Mark>
  return <Mark tone={deviceTones[state] ?? 'quiet'}>{state.replace('-', ' ')}</Mark>
}

const compilationTones: Record<Compilation['state'], Tone> = {
  queued: 'quiet',
  running: 'busy',
  done: 'good',
  failed: 'bad',
  cancelled: 'warn',
  interrupted: 'warn',
}

export const CompilationStateMark = ({ state }: Pick<Compilation, 'state'>) => (
  <Mark tone={compilationTones[state]}>{state}</Mark>
)
