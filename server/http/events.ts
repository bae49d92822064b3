import type { ServerResponse } from 'node:http'
import { EspalierError } from '@espalier/shared'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Events, NumberedEvent } from '../events.js'

export interface EventsPart {
  readonly events: Events
  /** Between signs of life on an idle stream. */
  readonly heartbeatMs: number
}

const maxWatchers = 256
/** A watcher that lets more than this lie unread is cut off; it may come back and read on. */
const maxUnreadBytes = 1024 * 1024

const description = `A stream of Server-Sent Events. Each has an id, a \`event:\` name and JSON data, for example
\`event: device.changed\`, \`data: {"type":"device.changed","device":"pi-4","seq":12,"at":1700000000000}\`.
Names: model.changed, variants.changed, compilation.changed, compilation.progress, device.changed, report.stored.
Come back with \`Last-Event-ID\` and nothing is missed; when that is too long ago, an event \`reset\` says: read all anew.`

/** `/v1/events` (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export const events: FastifyPluginAsyncTypebox<EventsPart> = async (app, { events, heartbeatMs }) => {
  const watchers = new Set<ServerResponse>()
  app.addHook('preClose', async () => {
    for (const w of watchers) w.end()
  })

  app.get(
    '',
    {
      schema: {
        tags: ['events'],
        summary: 'Follow what happens',
        description,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.Integer({ minimum: 0 })) }),
      },
    },
    async (request, reply) => {
      if (watchers.size >= maxWatchers) {
        throw new EspalierError('TOO_MANY_WATCHERS', `${maxWatchers} watchers are connected; close one first`)
      }
      reply.hijack()
      const stream = reply.raw
      stream.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      const write = (text: string) => {
        if (stream.writableLength > maxUnreadBytes) stream.destroy()
        else stream.write(text)
      }
      const last = request.headers['last-event-id']
      const missed = last === undefined ? [] : events.since(last)
      write('retry: 1000\n\n')
      if (missed === null) write('event: reset\ndata: {"type":"reset"}\n\n')
      for (const event of missed ?? []) write(frame(event))
      const unwatch = events.watch((event) => write(frame(event)))
      const heartbeat = setInterval(() => write(': alive\n\n'), heartbeatMs)
      watchers.add(stream)
      stream.on('error', () => stream.destroy()) // a watcher that went away; 'close' cleans up
      stream.on('close', () => {
        clearInterval(heartbeat)
        unwatch()
        watchers.delete(stream)
      })
    },
  )
}

const frame = (event: NumberedEvent) =>
  `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
