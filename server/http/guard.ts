import { timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { TLSSocket } from 'node:tls'
import { EspalierError } from '@espalier/shared'
import type { FastifyInstance, FastifyRequest } from 'fastify'

export interface Guarded {
  /** Asked of callers from beyond loopback, as a bearer token or as a password. */
  readonly token: string
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Keeps foreign web pages and foreign machines out. Without TLS a Host that is a name other than localhost is refused,
 * since a name can be pointed at this machine (DNS rebinding); with it the certificate speaks for the name. An Origin must
 * be the Host's own. Health is open to all.
 */
export function guard(app: FastifyInstance, { token }: Guarded): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer')
    reply.header('content-security-policy', "frame-ancestors 'none'")
    checkHost(request)
    checkOrigin(request)
    if (!isLoopback(request.socket.remoteAddress) && !open.has(request.url)) {
      reply.header('www-authenticate', 'Basic realm="Espalier"')
      checkToken(request.headers.authorization, token)
      reply.removeHeader('www-authenticate')
    }
  })
}

const open = new Set(['/healthz', '/readyz'])

function checkHost({ headers: { host = '' }, socket }: FastifyRequest): void {
  if (socket instanceof TLSSocket) return
  const name = hostname(host)
  if (loopbackNames.has(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0) return
  throw new EspalierError(
    'HOST_FORBIDDEN',
    `Host '${host}' is not served here; use an IP address or localhost`,
  )
}

function checkOrigin({ headers: { host, origin } }: FastifyRequest): void {
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return
  throw new EspalierError('ORIGIN_FORBIDDEN', `pages of '${origin}' may not call this service`)
}

/** `Bearer TOKEN` of programs, or the `Basic` of browsers with the token as the password. An empty one lets nobody in. */
function checkToken(authorization = '', token: string): void {
  const [scheme, text = ''] = authorization.split(' ')
  const given =
    scheme === 'Basic'
      ? Buffer.from(text, 'base64')
          .toString()
          .replace(/^[^:]*:/, '')
      : text
  const [actual, expected] = [Buffer.from(given), Buffer.from(token)]
  if (token !== '' && actual.length === expected.length && timingSafeEqual(actual, expected)) return
  throw new EspalierError(
    'TOKEN_INVALID',
    "callers from other machines need the service's token (the file 'token' of the data folder), as 'Authorization: Bearer …' or as a browser's password",
  )
}

const hostname = (host: string) => host.replace(/:\d+$/, '').toLowerCase()
const isLoopback = (address = '') => /^(::ffff:)?127\./.test(address) || address === '::1'
