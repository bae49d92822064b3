import type { Problem } from '../http/schemas/index.js'

/** What the service answered instead of what was asked, or that it did not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly status: number,
  ) {
    super(message)
  }

  /** Whether the same question may be answered in a while. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

const largestPage = 500
/** Beyond this many entries a list is cut; the fleet page says so. */
export const largestList = 10_000

/** The JSON body at `path` below `/v1`. @throws ApiError */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask(path, { signal })).json()
}

/** @throws ApiError */
export async function post<T>(path: string, body?: unknown): Promise<T> {
  const json = body !== undefined && {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  }
  return (await ask(path, { method: 'POST', ...json })).json()
}

/** Every entry of the list at `path`, page by page, at most `largestList`. @throws ApiError */
export async function getAll<T>(
  path: string,
  query: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | null = null
  do {
    const params: URLSearchParams = new URLSearchParams({ ...query, limit: String(largestPage) })
    if (cursor !== null) params.set('cursor', cursor)
    const page: { items: T[]; next: string | null } = await get(`${path}?${params}`, signal)
    items.push(...page.items)
    cursor = page.next
  } while (cursor !== null && items.length < largestList)
  return items
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(`/v1${path}`, init).catch((cause: unknown) => {
    if (init.signal?.aborted) throw cause
    throw new ApiError('The service does not answer. Is espalier up still running?', 'UNREACHABLE', 0)
  })
  if (response.ok) return response
  const problem: Problem | undefined = response.headers.get('content-type')?.includes('json')
    ? await response.json()
    : undefined
  throw new ApiError(
    problem?.detail ?? `${response.status} ${response.statusText}`,
    problem?.code ?? 'HTTP',
    response.status,
  )
}
