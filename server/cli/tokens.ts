import { Option } from 'commander'
import type { CreatedToken, EnrolmentToken } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { count, type Define, outputOf } from './command.js'
import { duration } from './duration.js'
import { show, table } from './output.js'

type Options = ServerOptions & { json?: boolean }
interface Create extends Options {
  readonly group?: string
  readonly device?: string
  readonly uses?: number
  readonly life?: number
}

export const command: Define = (tokens) => {
  serverOptions(
    tokens
      .command('create')
      .description('create a token, and print the code with which devices enrol')
      .option('--group <group>', 'a group that whoever enrols by it joins')
      .option('--device <id>', 'the one device that may enrol: new, or one whose hardware is replaced')
      .option('--uses <n>', 'how many devices may enrol by it', count, 1)
      .addOption(
        new Option('--life <duration>', 'how long it lasts, for example 30m, 12h or 7d')
          .argParser(duration)
          .default(duration('24h'), '24h'),
      ),
  ).action(async ({ group, device, uses, life: lifeMs, ...options }: Create) => {
    const body = { group, device, uses, lifeMs }
    const token = await new Client(options).send<CreatedToken>('POST', '/v1/enrolment-tokens', body)
    outputOf(options).result(token, () =>
      [
        `token ${token.id}: ${token.uses === 1 ? 'one device' : `${token.uses} devices`} until ${show.time(token.expiresAt)}; its code is shown this once`,
        '',
        '  on the device:',
        `  espalier-agent enrol ${token.code} --credential credential.json`,
      ].join('\n'),
    )
  })

  serverOptions(tokens.command('ls').description('list the tokens')).action(async (options: Options) => {
    const items = await new Client(options).all<EnrolmentToken>('/v1/enrolment-tokens')
    outputOf(options).result({ items }, () =>
      table(items, [
        ['TOKEN', (t) => t.id],
        ['STATE', (t) => t.state],
        ['USED', (t) => `${t.used} of ${t.uses}`],
        ['GROUP', (t) => t.group],
        ['DEVICE', (t) => t.device],
        ['CREATED', (t) => show.time(t.createdAt)],
        ['EXPIRES', (t) => show.time(t.expiresAt)],
      ]),
    )
  })

  serverOptions(tokens.command('revoke <token>').description('let nobody enrol by it any more')).action(
    async (id: string, options: Options) => {
      const path = `/v1/enrolment-tokens/${encodeURIComponent(id)}/revoke`
      const token = await new Client(options).send<EnrolmentToken>('POST', path)
      outputOf(options).result(token, () => `token ${token.id} is revoked; who has enrolled by it stays`)
    },
  )
}
