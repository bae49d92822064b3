import { useEffect, useState } from 'preact/hooks'

/** The pages, as the part of the address after `#` names them. */
export type Route =
  | { readonly page: 'fleet' }
  | { readonly page: 'device'; readonly id: string }
  | { readonly page: 'model'; readonly id: string; readonly version: number | null }
  | { readonly page: 'compilation'; readonly id: string }
  | { readonly page: 'missing'; readonly path: string }

export const href = {
  fleet: () => '#/',
  device: (id: string) => `#/devices/${encodeURIComponent(id)}`,
  model: (id: string, version?: number) =>
    `#/models/${encodeURIComponent(id)}${version === undefined ? '' : `/versions/${version}`}`,
  compilation: (id: string) => `#/compilations/${encodeURIComponent(id)}`,
}

/** @param hash such as `#/devices/pi-4`; an empty one is the fleet. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#?\/?/, '')
  const missing: Route = { page: 'missing', path }
  const parts = path.split('/').map(decode)
  if (parts.includes(null)) return missing
  const [kind, id, sub, version, ...rest] = parts as string[]
  if (path === '') return { page: 'fleet' }
  if (!id || rest.length > 0) return missing
  if (kind === 'models' && sub === 'versions' && /^[1-9]\d{0,8}$/.test(version ?? '')) {
    return { page: 'model', id, version: Number(version) }
  }
  if (sub !== undefined) return missing
  if (kind === 'devices') return { page: 'device', id }
  if (kind === 'models') return { page: 'model', id, version: null }
  if (kind === 'compilations') return { page: 'compilation', id }
  return missing
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null // a lone %, typed by hand: no page has such an address
  }
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const follow = () => setHash(location.hash)
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return parseRoute(hash)
}
