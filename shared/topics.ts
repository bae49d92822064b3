import { EspalierError } from './errors.js'

const root = 'espalier/v1'

/** Every topic, below `espalier/v1/`; a name in braces stands for one level. */
const patterns = {
  enrolRequest: 'enrol/{claim}/request',
  enrolResponse: 'enrol/{claim}/response',
  presence: 'devices/{device}/presence',
  facts: 'devices/{device}/facts',
  desired: 'devices/{device}/desired',
  reported: 'devices/{device}/reported',
  reports: 'devices/{device}/reports/{n}',
  reportsAck: 'devices/{device}/reports/ack',
  blocksRequest: 'devices/{device}/blocks/request',
  blocksData: 'devices/{device}/blocks/data',
  command: 'devices/{device}/commands/{n}',
  commandAck: 'devices/{device}/commands/{n}/ack',
  wish: 'devices/{device}/wish',
  logs: 'devices/{device}/logs',
  catalogue: 'models/{model}/versions/{version}/catalogue',
  artifact: 'artifacts/{digest}/{block}',
  credential: 'devices/{device}/credential',
  keys: 'keys',
  servicePresence: 'service/presence',
} as const

export type TopicName = keyof typeof patterns

type Placeholder<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholder<Rest>
  : never
type Levels<N extends TopicName> = { [K in Placeholder<(typeof patterns)[N]>]: string | number }

/** A topic taken apart: its name and the values of its variable levels. */
export type ParsedTopic = {
  [N in TopicName]: { name: N } & { [K in Placeholder<(typeof patterns)[N]>]: string }
}[TopicName]

/** What a device may publish to, where `{device}` is itself. */
export const devicePublishes: readonly TopicName[] = [
  'presence',
  'facts',
  'reported',
  'reports',
  'blocksRequest',
  'commandAck',
  'wish',
  'logs',
]

/** What a device may subscribe to, where `{device}` is itself and any other variable level may be `+`. */
export const deviceSubscribes: readonly TopicName[] = [
  'desired',
  'reportsAck',
  'blocksData',
  'command',
  'catalogue',
  'artifact',
  'credential',
  'keys',
  'servicePresence',
]

const level = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * The topic called `name`, as in `topic('reports', { device: 'pi-4', n: 7 })`.
 * @throws TOPIC_INVALID for a level that is empty, over 128 characters, or has other characters than letters, digits, `.`, `_`, `-`.
 */
export function topic<N extends TopicName>(name: N, levels: Levels<N>): string {
  return fill(name, (key) => {
    const value = String((levels as Record<string, string | number>)[key])
    if (level.test(value)) return value
    throw new EspalierError(
      'TOPIC_INVALID',
      `${key} ${JSON.stringify(value)} cannot be part of a topic; use letters, digits, '.', '_' and '-'`,
    )
  })
}

/** The subscription to `name` where every level that is not given is `+`. */
export function topicFilter<N extends TopicName>(name: N, levels: Partial<Levels<N>> = {}): string {
  const given = levels as Record<string, string | number | undefined>
  return fill(name, (key) => String(given[key] ?? '+'))
}

/** The parts of a topic of ours, or undefined when it is none. A level `ack` is never a number of a report. */
export function parseTopic(text: string): ParsedTopic | undefined {
  const levels = text.split('/')
  for (const [name, pattern] of parsers) {
    const found = match(pattern, levels)
    if (found) return { name, ...found } as ParsedTopic
  }
}

const parsers = (Object.keys(patterns) as TopicName[])
  .map((name) => [name, `${root}/${patterns[name]}`.split('/')] as const)
  .sort(([, a], [, b]) => variables(a) - variables(b)) // the more literal pattern wins: reports/ack over reports/{n}

function variables(pattern: readonly string[]): number {
  return pattern.filter((part) => part.startsWith('{')).length
}

function match(pattern: readonly string[], levels: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== levels.length) return
  const found: Record<string, string> = {}
  for (const [i, part] of pattern.entries()) {
    if (part.startsWith('{') && level.test(levels[i])) found[part.slice(1, -1)] = levels[i]
    else if (part !== levels[i]) return
  }
  return found
}

function fill(name: TopicName, value: (key: string) => string): string {
  return `${root}/${patterns[name].replace(/\{(\w+)\}/g, (_, key: string) => value(key))}`
}
