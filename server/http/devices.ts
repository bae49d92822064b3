import { Logs, Nullable } from '@espalier/shared/messages/index.js'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { AdmissionPart, FleetPart } from './parts.js'
import {
  Assignment,
  Credential,
  Device,
  DeviceCommand,
  Group,
  GroupMembers,
  Id,
  NewDevice,
  PageOf,
  PageQuery,
} from './schemas/index.js'

export interface DevicesPart {
  readonly fleet: FleetPart
  readonly admission: AdmissionPart
}

const One = Type.Object({ id: Id })

export const devices: FastifyPluginAsyncTypebox<DevicesPart> = async (app, { fleet, admission }) => {
  const tags = ['devices']
  app.get(
    '/devices',
    { schema: { tags, summary: 'List devices', querystring: PageQuery, response: { 200: PageOf(Device) } } },
    async ({ query }) => fleet.devices(query),
  )

  app.post(
    '/devices',
    {
      schema: {
        tags,
        summary: 'Register a device; the answer is the credential its agent needs, shown this once',
        body: NewDevice,
        response: { 201: Credential },
      },
    },
    async ({ body }, reply) => reply.code(201).send(admission.create(body)),
  )

  app.get(
    '/devices/:id',
    { schema: { tags, summary: 'One device', params: One, response: { 200: Device } } },
    async ({ params }) => fleet.device(params.id),
  )

  app.put(
    '/devices/:id/assignment',
    {
      schema: {
        tags,
        summary: 'Say which model version a device should serve',
        params: One,
        body: Assignment,
        response: { 200: Device },
      },
    },
    async ({ params, body }) => fleet.assign(params.id, body),
  )

  app.post(
    '/devices/:id/rotate',
    {
      schema: {
        tags,
        summary: 'Give a device a new password when it is next heard of',
        params: One,
        response: { 202: Device },
      },
    },
    async ({ params }, reply) => {
      admission.rotate(params.id)
      return reply.code(202).send(fleet.device(params.id))
    },
  )

  app.post(
    '/devices/:id/revoke',
    {
      schema: {
        tags,
        summary: "Take a device's credential back and end its connection",
        params: One,
        response: { 200: Device },
      },
    },
    async ({ params }) => {
      admission.revoke(params.id)
      return fleet.device(params.id)
    },
  )

  app.delete(
    '/devices/:id',
    {
      schema: {
        tags,
        summary: 'Retire a device: it leaves the fleet, its reports stay',
        params: One,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      admission.retire(params.id)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/devices/:id/commands',
    {
      schema: {
        tags,
        summary: 'Ask a device to measure or to choose again, or for the newest lines of its log',
        params: One,
        body: DeviceCommand,
        response: { 202: Type.Object({ n: Type.Integer() }) },
      },
    },
    async ({ params, body }, reply) => reply.code(202).send(await fleet.command(params.id, body)),
  )

  app.get(
    '/devices/:id/logs',
    {
      schema: {
        tags,
        summary: 'What a device sent last of its log, as a command asked for; null: nothing yet',
        params: One,
        response: { 200: Type.Object({ logs: Nullable(Logs) }) },
      },
    },
    async ({ params }) => ({ logs: fleet.logs(params.id) }),
  )

  const groupTags = ['groups']
  app.get(
    '/groups',
    {
      schema: {
        tags: groupTags,
        summary: 'List groups',
        querystring: PageQuery,
        response: { 200: PageOf(Group) },
      },
    },
    async ({ query }) => fleet.groups(query),
  )

  app.get(
    '/groups/:id',
    { schema: { tags: groupTags, summary: 'One group', params: One, response: { 200: Group } } },
    async ({ params }) => fleet.group(params.id),
  )

  app.put(
    '/groups/:id',
    {
      schema: {
        tags: groupTags,
        summary: 'Make a group consist of exactly these devices',
        params: One,
        body: GroupMembers,
        response: { 200: Group },
      },
    },
    async ({ params, body }) => fleet.setGroup(params.id, body.devices),
  )

  app.put(
    '/groups/:id/assignment',
    {
      schema: {
        tags: groupTags,
        summary: 'Say which model version all devices of a group should serve',
        params: One,
        body: Assignment,
        response: { 200: Group },
      },
    },
    async ({ params, body }) => fleet.assignGroup(params.id, body),
  )
}
