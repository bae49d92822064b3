import { open, rm } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'
import { type Goal, goals } from '@espalier/shared/messages/index.js'
import type { Credential, Device } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { count, type Define, many, oneOf, outputOf, positive, share, size } from './command.js'
import { deviceLogs } from './device-logs.js'
import { facts, show, table } from './output.js'

type Options = ServerOptions & { json?: boolean }

export const command: Define = (devices) => {
  deviceLogs(devices)
  serverOptions(devices.command('ls').description('list the devices')).action(async (options: Options) => {
    const items = await new Client(options).all<Device>('/v1/devices')
    outputOf(options).result({ items }, () =>
      table(items, [
        ['DEVICE', (d) => d.id],
        ['', (d) => (d.revokedAt !== null ? 'revoked' : d.online ? 'online' : 'offline')],
        ['BOARD', (d) => d.board],
        ['STATE', stateOf],
        ['ASSIGNED', (d) => d.assigned && `${d.assigned.model} v${d.assigned.version}`],
        ['ACTIVE', (d) => d.active && (d.active.name ?? d.active.variant.slice(0, 12))],
        ['BUDGET', (d) => show.bytes(d.memoryBudgetBytes)],
        ['MEMORY', (d) => show.bytes(d.measuredRamBytes)],
        ['P50', (d) => show.ms(d.p50Ms)],
        ['P95', (d) => show.ms(d.p95Ms)],
        ['ERROR', (d) => d.error?.code],
      ]),
    )
  })

  serverOptions(devices.command('show <device>').description('show a device')).action(
    async (id: string, options: Options) => {
      const device = await new Client(options).get<Device>(`/v1/devices/${encodeURIComponent(id)}`)
      outputOf(options).result(device, () => about(device))
    },
  )

  serverOptions(
    devices
      .command('create <device>')
      .description('register a device and write the credential file that its agent needs')
      .option('-o, --output <file>', 'where the credential goes (default: DEVICE.credential.json)')
      .option('--group <group>', 'a group it belongs to; may be repeated', many(String)),
  ).action(async (id: string, options: Options & { output?: string; group?: string[] }) => {
    const file = options.output ?? `${id}.credential.json`
    const handle = await open(file, 'wx', 0o600).catch((cause) => {
      throw new EspalierError(
        'WRITE_FAILED',
        `'${file}' cannot be written (${cause.code}); name another with --output`,
        { cause },
      )
    })
    try {
      const body = { id, groups: options.group }
      const credential = await new Client(options).send<Credential>('POST', '/v1/devices', body)
      await handle.writeFile(`${JSON.stringify(credential, null, 2)}\n`)
    } catch (thrown) {
      await rm(file, { force: true })
      throw thrown
    } finally {
      await handle.close()
    }
    outputOf(options).result({ id, credential: file }, () =>
      [
        `device ${id} is registered; its credential is in ${file}`,
        `copy it to the device and start: espalier-agent run --credential ${file} --state DIR`,
      ].join('\n'),
    )
  })

  serverOptions(
    devices.command('rotate <device>').description('give a device a new password when it is next heard of'),
  ).action(async (id: string, options: Options) => {
    const device = await new Client(options).send<Device>('POST', `${path(id)}/rotate`)
    outputOf(options).result(
      device,
      () =>
        `${id} gets a new password ${device.online ? 'now' : 'as soon as it is back'}; the old one holds until then`,
    )
  })

  serverOptions(
    devices.command('revoke <device>').description("take a device's credential back and end its connection"),
  ).action(async (id: string, options: Options) => {
    const device = await new Client(options).send<Device>('POST', `${path(id)}/revoke`)
    outputOf(options).result(
      device,
      () =>
        `the credential of ${id} is worth nothing now; to let it in again: espalier tokens create --device ${id}`,
    )
  })

  serverOptions(
    devices.command('retire <device>').description('take a device out of the fleet; its reports stay'),
  ).action(async (id: string, options: Options) => {
    await new Client(options).delete(path(id))
    outputOf(options).result({ id }, () => `${id} is retired; its id is not given to another device`)
  })

  serverOptions(
    devices
      .command('assign <device> <model>')
      .description('say which model a device should serve')
      .option('--version <n>', 'the model version (default: the newest)', count)
      .option('--memory <size>', 'the most memory the model may use there', size)
      .option('--p95 <ms>', 'the highest p95 latency', positive)
      .option('--top1 <share>', 'the least accuracy, such as 0.9', share)
      .option(
        '--objective <name>',
        `what it chooses by within these limits: ${goals.join(', ')} (default: accuracy)`,
        oneOf('--objective', goals),
      ),
  ).action(
    async (
      id: string,
      model: string,
      options: Options & { version?: number; memory?: number; p95?: number; top1?: number; objective?: Goal },
    ) => {
      const { version, memory: memoryBytes, p95: p95Ms, top1, objective: maximise } = options
      const body = { model, version, objective: { maximise, memoryBytes, p95Ms, top1 } }
      const device = await new Client(options).send<Device>(
        'PUT',
        `/v1/devices/${encodeURIComponent(id)}/assignment`,
        body,
      )
      outputOf(options).result(device, () => about(device))
    },
  )
}

const path = (id: string) => `/v1/devices/${encodeURIComponent(id)}`

const about = (d: Device) =>
  facts({
    Device: d.id,
    Online: d.online ? 'yes' : 'no',
    'Last seen': show.time(d.lastSeenAt),
    Board: d.board,
    Memory: show.bytes(d.memoryBytes),
    'Memory for a model': show.bytes(d.memoryBudgetBytes),
    Labels:
      Object.entries(d.labels)
        .map(([k, v]) => `${k}=${v}`)
        .join(' ') || null,
    Groups: d.groups.join(' ') || null,
    State: d.state,
    Assigned:
      d.assigned &&
      `${d.assigned.model} v${d.assigned.version}, by ${d.assigned.objective.maximise ?? 'accuracy'}`,
    Active: d.active && (d.active.name ?? d.active.variant),
    'Memory measured': show.bytes(d.measuredRamBytes),
    'Latency p50': show.ms(d.p50Ms),
    'Latency p95': show.ms(d.p95Ms),
    'Reports dropped': d.droppedReports,
    'Credential revoked': show.time(d.revokedAt),
    Wish: d.wish && wishOf(d.wish),
    Error: d.error && `${d.error.message} (${d.error.code})`,
  })

const stateOf = ({ state, progress }: Device) =>
  progress === null
    ? state
    : `${state} ${Math.floor((100 * progress.doneBytes) / Math.max(1, progress.totalBytes))} %`

/** What would have to be compiled for a device that no variant satisfies. */
function wishOf({ memoryBytes, p95Ms, top1, nearest }: NonNullable<Device['wish']>): string {
  const list = (...parts: (string | null | false)[]) => parts.filter((part) => part).join(', ')
  const wanted = list(
    `at most ${show.bytes(memoryBytes)} of memory`,
    p95Ms !== null && `${show.ms(p95Ms)} at p95`,
    top1 !== null && `top-1 of ${show.percent(top1)} or more`,
  )
  const found =
    nearest && list(show.bytes(nearest.memoryBytes), show.ms(nearest.p95Ms), show.percent(nearest.top1))
  const how = nearest?.measured ? 'measured there' : 'by the catalogue'
  return `a variant with ${wanted}${nearest ? `; the nearest, ${nearest.name}, has ${found} (${how})` : ''}`
}
