import { createContext } from 'preact'
import { useContext, useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api.js'
import type { Connection, Live, LiveEvent } from './live.js'

export const LiveContext = createContext<Live | null>(null)

function useLive(): Live {
  const live = useContext(LiveContext)
  if (live === null) throw new Error('LiveContext has no value')
  return live
}

export function useConnection(): Connection {
  const live = useLive()
  const [connection, setConnection] = useState(live.connection)
  useEffect(() => {
    setConnection(live.connection) // it may have changed since the first rendering
    return live.watchConnection(setConnection)
  }, [live])
  return connection
}

/** Calls `handle`, always the latest one given, for every event while the component stands. */
export function useEvents(handle: (event: LiveEvent) => void): void {
  const live = useLive()
  const latest = useRef(handle)
  latest.current = handle
  useEffect(() => live.watch((event) => latest.current(event)), [live])
}

/** What was read last, and why reading it again failed, if it did. Both null while the first answer is awaited. */
export interface Loaded<T> {
  readonly data: T | null
  readonly error: ApiError | null
}

const leastPauseMs = 300
const retryMs = 5000

/**
 * Reads a resource, and again after every event that `concerns` it. Events that come close together cause one
 * reading, and a slow answer is asked for less often. `key` names the resource: another key starts from nothing.
 */
export function useResource<T>(
  key: string,
  read: (signal: AbortSignal) => Promise<T>,
  concerns: (event: LiveEvent) => boolean,
): Loaded<T> {
  const live = useLive()
  const [state, setState] = useState<Loaded<T> & { key: string }>({ key, data: null, error: null })
  const latest = useRef({ read, concerns })
  latest.current = { read, concerns }

  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let reading = false
    let stale = false

    const readNow = async () => {
      timer = undefined
      reading = true
      stale = false
      const started = performance.now()
      let pause = leastPauseMs
      try {
        const data = await latest.current.read(abort.signal)
        if (!abort.signal.aborted) setState({ key, data, error: null })
        pause = Math.max(leastPauseMs, 4 * (performance.now() - started))
      } catch (cause) {
        if (abort.signal.aborted) return
        const error = cause instanceof ApiError ? cause : new ApiError(String(cause), 'PAGE', 0)
        setState((s) => ({ key, data: s.key === key ? s.data : null, error }))
        if (error.passes) stale = true
        pause = retryMs
      }
      reading = false
      if (stale && !abort.signal.aborted) timer = setTimeout(readNow, pause)
    }

    const unwatch = live.watch((event) => {
      if (event.type !== 'reset' && !latest.current.concerns(event)) return
      stale = true
      if (!reading && timer === undefined) timer = setTimeout(readNow, leastPauseMs)
    })
    readNow()
    return () => {
      abort.abort()
      clearTimeout(timer)
      unwatch()
    }
  }, [live, key])

  return state.key === key ? state : { data: null, error: null }
}

/** The time, told anew every `everyMs`. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** Width in CSS pixels of the element that `ref` is given to; 0 before it stands. */
export function useWidth<E extends Element>(): [ref: (element: E | null) => void, width: number] {
  const [element, setElement] = useState<E | null>(null)
  const [width, setWidth] = useState(0)
  useEffect(() => {
    if (element === null) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [element])
  return [setElement, width]
}

/** Whether a media query holds, followed while the component stands. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const media = matchMedia(query)
    const follow = () => setHolds(media.matches)
    follow()
    media.addEventListener('change', follow)
    return () => media.removeEventListener('change', follow)
  }, [query])
  return holds
}
