import { EspalierError } from '@espalier/shared'
import { devicePublishes, deviceSubscribes, type TopicName, topicFilter } from '@espalier/shared/topics.js'

/**
 * The permissions of all topics in another broker's own form; `service` is the user name that the service connects with, and
 * `devices` are for brokers that cannot say "whoever is connected".
 */
export interface Exporter {
  readonly about: string
  readonly write: (service: string, devices: readonly string[]) => string
}

/** The topics called `names`, where `device` stands for whoever is connected and `wild` for any other level. */
const topics = (names: readonly TopicName[], device: string) =>
  names.map((name) => topicFilter(name, { device }))

/** How EMQX writes the user name of whoever is connected. */
const emqxUser = `$\{username}`
const everything = 'espalier/v1/#'

/** By the broker's name. User names are device ids; the broker itself must hold client ids to them. */
export const exporters: Readonly<Record<string, Exporter>> = {
  mosquitto: {
    about: 'an acl_file of Mosquitto 2; set use_username_as_clientid true beside it',
    write: (service) =>
      [
        "# Espalier's topic permissions. A device (user name = device id) reaches its own topics and nothing else;",
        '# the service reaches all of them. Written by: espalier broker export --for mosquitto',
        '',
        `user ${service}`,
        `topic readwrite ${everything}`,
        '',
        ...topics(devicePublishes, '%u').map((to) => `pattern write ${to}`),
        '',
        ...topics(deviceSubscribes, '%u').map((to) => `pattern read ${to}`),
        '',
      ].join('\n'),
  },
  emqx: {
    about: 'an acl.conf of EMQX 5 (authorization by file); no_match should be deny',
    write: (service) => {
      const rule = (who: string, action: string, to: readonly string[]) =>
        `{allow, ${who}, ${action}, [\n${to.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]}.`
      return [
        "%% Espalier's topic permissions. A device (user name = device id) reaches its own topics and nothing else;",
        '%% the service reaches all of them. Written by: espalier broker export --for emqx',
        rule(`{user, ${JSON.stringify(service)}}`, 'all', [everything]),
        rule('all', 'publish', topics(devicePublishes, emqxUser)),
        rule('all', 'subscribe', topics(deviceSubscribes, emqxUser)),
        '{deny, all}.',
        '',
      ].join('\n')
    },
  },
  nats: {
    about: 'users of nats-server 2.9 or newer, to be included in its configuration; name each with --device',
    write: natsUsers,
  },
}

/** A topic as NATS calls it; its own deliveries at QoS 1 come on `$MQTT.sub`. */
const natsSubject = (to: string) =>
  JSON.stringify(to.replaceAll('/', '.').replaceAll('+', '*').replace('#', '>'))

/** @throws OPTION_INVALID for no device, or one that NATS cannot tell apart */
function natsUsers(service: string, devices: readonly string[]): string {
  if (devices.length === 0)
    throw new EspalierError(
      'OPTION_INVALID',
      'nats-server has users one by one; name the devices: --device ID',
    )
  const dotted = devices.find((device) => device.includes('.'))
  if (dotted !== undefined)
    throw new EspalierError(
      'OPTION_INVALID',
      `'${dotted}' is two levels to NATS; its devices have no '.' in their ids`,
    )
  const variables = new Map([service, ...devices].map((user) => [natsPassword(user), user]))
  if (variables.size <= devices.length)
    throw new EspalierError(
      'OPTION_INVALID',
      'two ids differ in capitals or signs alone; nats-server would take them for one',
    )
  const list = (to: readonly string[]) =>
    `[\n${to.map((each) => `        ${natsSubject(each)}`).join('\n')}\n      ]`
  const entry = (user: string, publish: readonly string[], subscribe: readonly string[]) => `    {
      user: ${JSON.stringify(user)}, password: $${natsPassword(user)}, allowed_connection_types: [MQTT]
      permissions: { publish: ${list(publish)}, subscribe: ${list([...subscribe, '$MQTT/sub/#'])} }
    }`
  return [
    "# Espalier's topic permissions. A device (user name = device id) reaches its own topics and nothing else;",
    '# the service reaches all of them. Written by: espalier broker export --for nats --device ID …',
    `# passwords.conf beside it says, in a line each, ${natsPassword(devices[0])}: "its password, or the bcrypt of it"`,
    'include passwords.conf',
    'authorization {',
    '  users: [',
    entry(service, [everything], [everything]),
    ...devices.map((id) => entry(id, topics(devicePublishes, id), topics(deviceSubscribes, id))),
    '  ]',
    '}',
    '',
  ].join('\n')
}

/** The variable that holds a user's password. */
export const natsPassword = (user: string): string =>
  `PASSWORD_${user.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`
