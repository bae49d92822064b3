import { fullTime, none, span } from '../format.js'
import { useNow } from '../hooks.js'

/** How long ago something was, growing as one watches. */
export function Ago({ at }: { at: number | null }) {
  const now = useNow()
  if (at === null) return <>{none}</>
  return (
    <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {now - at < 2000 ? 'now' : `${span(now - at)} ago`}
    </time>
  )
}

/** How long something has taken, or took. */
export function Took({ from, to }: { from: number; to: number | null }) {
  const now = useNow()
  return <>{span((to ?? now) - from)}</>
}
