import { createHash, type KeyObject } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Database } from '../store/index.js'
import { seal, unseal } from './seal.js'

export interface IdempotencyPart {
  readonly db: Database
  /** The service's, under which answers are kept: passwords and enrolment codes are among them. */
  readonly secret: KeyObject
}

interface Row {
  readonly request: string
  readonly status: number | null
  readonly body: string | null
}

/** How long an answer is kept for a repeated request. */
const keptMs = 24 * 60 * 60 * 1000

/**
 * Lets a caller repeat an unsafe request safely: with the same `Idempotency-Key` and the same request it gets the
 * first one's answer, and nothing is done twice (after draft-ietf-httpapi-idempotency-key-header). An upload is
 * compared by its length. Answers are kept sealed. What failed changed nothing and is not kept: the request may be tried again.
 */
export function idempotency(app: FastifyInstance, { db, secret: service }: IdempotencyPart): void {
  db.prepare('DELETE FROM idempotencyKeys WHERE status IS NULL').run() // their requests ended with the last process
  const claim = db.prepare(
    'INSERT INTO idempotencyKeys (key, request, createdAt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const find = db.prepare<[string], Row>('SELECT request, status, body FROM idempotencyKeys WHERE key = ?')
  const settle = db.prepare('UPDATE idempotencyKeys SET status = ?, body = ? WHERE key = ?')
  const release = db.prepare('DELETE FROM idempotencyKeys WHERE key = ? AND status IS NULL')
  const forget = db.prepare('DELETE FROM idempotencyKeys WHERE createdAt < ?')
  const claimed = new WeakMap<FastifyRequest, string>()

  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request)
    if (key === undefined) return
    forget.run(Date.now() - keptMs)
    const print = fingerprint(request)
    if (claim.run(key, print, Date.now()).changes === 1) {
      claimed.set(request, key)
      return
    }
    return replay(reply, find.get(key), key, print, (kept) => unseal(service, key, kept))
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const key = claimed.get(request)
    if (key === undefined) return payload
    if (reply.statusCode < 400 && typeof payload === 'string')
      settle.run(reply.statusCode, seal(service, key, payload), key)
    else release.run(key)
    return payload
  })
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined || request.method === 'GET') return undefined
  if (typeof key === 'string' && key.length > 0 && key.length <= 200) return key
  throw new EspalierError('REQUEST_INVALID', 'Idempotency-Key must be one value of 1 to 200 characters')
}

function fingerprint({ method, url, headers, body }: FastifyRequest): string {
  const content = headers['content-type']?.startsWith('application/json')
    ? JSON.stringify(body)
    : String(headers['content-length'])
  return createHash('sha256').update([method, url, content].join('\n')).digest('hex')
}

function replay(
  reply: FastifyReply,
  row: Row | undefined,
  key: string,
  print: string,
  open: (kept: string) => string | undefined,
): FastifyReply {
  if (row && row.request !== print) {
    throw new EspalierError(
      'IDEMPOTENCY_KEY_REUSED',
      `Idempotency-Key '${key}' came before with another request; use a new key for a new request`,
    )
  }
  if (!row || row.status === null) {
    throw new EspalierError(
      'IDEMPOTENCY_KEY_BUSY',
      `the first request with Idempotency-Key '${key}' is still being answered; try again in a moment`,
    )
  }
  const body = row.body === null ? null : open(row.body)
  if (body === undefined) {
    throw new EspalierError(
      'IDEMPOTENCY_KEY_REUSED',
      `Idempotency-Key '${key}' was answered before this service had its present key, and the answer can no longer be read; use a new one`,
    )
  }
  return reply
    .code(row.status)
    .type('application/json; charset=utf-8')
    .header('idempotency-replayed', 'true')
    .serializer((text: string) => text)
    .send(body)
}
