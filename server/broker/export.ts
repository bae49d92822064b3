import { devicePublishes, deviceSubscribes, type TopicName, topicFilter } from '@espalier/shared/topics.js'

/** The permissions of all topics in another broker's own form; `service` is the user name that the service connects with. */
export interface Exporter {
  readonly about: string
  readonly write: (service: string) => string
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
}
