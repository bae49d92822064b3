import type { ApiError } from '../api.js'
import type { Loaded } from '../hooks.js'

/** What a resource is when it is there; until then, or if it failed, what to know and do. */
export function Loading<T>({
  of: { data, error },
  children,
}: {
  of: Loaded<T>
  children: (data: T) => preact.ComponentChildren
}) {
  if (data === null) return error === null ? <p class="waiting">Reading …</p> : <Failure error={error} />
  return (
    <>
      {error !== null && <Failure error={error} />}
      {children(data)}
    </>
  )
}

export const Failure = ({ error }: { error: ApiError }) => (
  <div class="failure" role="alert">
    <p>{error.message}</p>
    <p class="code">
      {error.code}
      {error.passes && '; trying again …'}
    </p>
    {!error.passes && <a href="#/">Back to the fleet</a>}
  </div>
)
