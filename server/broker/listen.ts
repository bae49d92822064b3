import type { Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { EspalierError } from '@espalier/shared'
import type { Logger } from './broker.js'

const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** @throws BROKER_INSECURE for an address that others can reach, unless the operator insists: then it warns. */
export function refuseOpenAddress(host: string, insecureLan: boolean, log: Logger): void {
  if (isLoopback(host)) return
  if (!insecureLan)
    throw new EspalierError(
      'BROKER_INSECURE',
      `the broker will not listen on ${host} without encryption; use 127.0.0.1, or --insecure-lan on a network you trust`,
    )
  log.warn(
    { code: 'BROKER_INSECURE', host },
    'passwords and models cross this network unencrypted (--insecure-lan)',
  )
}

/** Where others find a server that listens on `host`: for all addresses, the first that is not this machine's own loopback. */
export function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return outward?.address ?? '127.0.0.1'
}

/** Without a host: on all addresses. @throws PORT_TAKEN */
export function listen(server: Server, { host, port }: { host?: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${cause.code})`
      reject(
        new EspalierError(
          'PORT_TAKEN',
          `port ${port} of ${host ?? 'this machine'} ${why}; choose another one for MQTT`,
          {
            cause,
          },
        ),
      )
    })
    server.listen({ host, port }, resolve)
  })
}
