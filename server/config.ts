import { resolve } from 'node:path'
import { EspalierError, parseBytes } from '@espalier/shared'

interface Setting<T> {
  /** As commander writes it. */
  readonly flag: string
  readonly env: string
  readonly default: T
  /** @throws any error whose message says what the text should be. */
  readonly read: (text: string) => T
  readonly help: string
}

const setting = <T>(s: Setting<T>): Setting<T> => s

/** Every setting: a flag of `espalier up` goes before its environment variable, that before the default. */
export const settings = {
  data: setting({
    flag: '--data <dir>',
    env: 'ESPALIER_DATA',
    default: '.espalier',
    read: (text) => text,
    help: 'folder of the database, artifacts and keys',
  }),
  port: setting({
    flag: '--port <n>',
    env: 'ESPALIER_PORT',
    default: 8080,
    read: port,
    help: 'port of the dashboard and the HTTP API; 0 takes a free one',
  }),
  mqttPort: setting({
    flag: '--mqtt-port <n>',
    env: 'ESPALIER_MQTT_PORT',
    default: 1883,
    read: port,
    help: 'port of the embedded MQTT broker; 0 takes a free one',
  }),
  broker: setting({
    flag: '--broker <url>',
    env: 'ESPALIER_BROKER',
    default: '',
    read: brokerUrl,
    help: 'an MQTT broker to use in place of the embedded one: mqtt://user:password@host:port or mqtts://…',
  }),
  tls: setting({
    flag: '--tls <own|CERT,KEY[,CA]>',
    env: 'ESPALIER_TLS',
    default: '',
    read: tls,
    help: 'serve other machines, encrypted: by an authority of our own, made on first use, or by these PEM files',
  }),
  tlsPort: setting({
    flag: '--tls-port <n>',
    env: 'ESPALIER_TLS_PORT',
    default: 8443,
    read: port,
    help: 'port of HTTPS with --tls',
  }),
  mqttsPort: setting({
    flag: '--mqtts-port <n>',
    env: 'ESPALIER_MQTTS_PORT',
    default: 8883,
    read: port,
    help: 'port of MQTT over TLS with --tls',
  }),
  tlsName: setting({
    flag: '--tls-name <names>',
    env: 'ESPALIER_TLS_NAME',
    default: '',
    read: names,
    help: 'names and addresses that others reach this machine by, with commas; the first goes into credentials',
  }),
  insecureLan: setting({
    flag: '--insecure-lan',
    env: 'ESPALIER_INSECURE_LAN',
    default: false,
    read: yes,
    help: 'listen beyond this machine, without encryption',
  }),
  token: setting({
    flag: '--token <text>',
    env: 'ESPALIER_TOKEN',
    default: '',
    read: (text) => text,
    help: 'what HTTP callers from other machines must send; one is made in the data folder if none is given',
  }),
  upload: setting({
    flag: '--max-upload <size>',
    env: 'ESPALIER_MAX_UPLOAD',
    default: 2 * 2 ** 30,
    read: parseBytes,
    help: 'largest file that may be uploaded',
  }),
  compileMemory: setting({
    flag: '--compile-memory <size>',
    env: 'ESPALIER_COMPILE_MEMORY',
    default: 4 * 2 ** 30,
    read: parseBytes,
    help: 'memory that a compilation may use',
  }),
  compileMinutes: setting({
    flag: '--compile-minutes <n>',
    env: 'ESPALIER_COMPILE_MINUTES',
    default: 240,
    read: minutes,
    help: 'time that a compilation may take',
  }),
  keepReports: setting({
    flag: '--keep-reports <days>',
    env: 'ESPALIER_KEEP_REPORTS',
    default: 365,
    read: days,
    help: 'how long reports are kept; 0 keeps them all',
  }),
  keepUnused: setting({
    flag: '--keep-unused <days>',
    env: 'ESPALIER_KEEP_UNUSED',
    default: 90,
    read: days,
    help: 'how long variants are kept that no assignment and no device refers to; 0 keeps them all',
  }),
  keepUnusedBytes: setting({
    flag: '--keep-unused-bytes <size>',
    env: 'ESPALIER_KEEP_UNUSED_BYTES',
    default: 10 * 2 ** 30,
    read: parseBytes,
    help: 'how much of them is kept, those unused longest going first; 0 sets no bound',
  }),
  logLevel: setting({
    flag: '--log-level <level>',
    env: 'ESPALIER_LOG_LEVEL',
    default: 'info',
    read: logLevel,
    help: 'fatal, error, warn, info, debug or trace',
  }),
}

type Settings = typeof settings
export type Config = { readonly [K in keyof Settings]: Settings[K]['default'] }

/**
 * The settings from flags (texts as typed; true for one without a value), environment and defaults.
 * @throws CONFIG_INVALID naming the flag or variable at fault.
 */
export function readConfig(
  flags: Readonly<Record<string, string | boolean | undefined>>,
  env: NodeJS.ProcessEnv = process.env,
): Config {
  const read = <T>(key: string, { flag, env: variable, default: otherwise, read }: Setting<T>): T => {
    const [source, text] =
      flags[key] !== undefined ? [flag.split(' ')[0], flags[key]] : [variable, env[variable]]
    if (text === undefined || text === '') return otherwise
    try {
      return read(String(text))
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new EspalierError('CONFIG_INVALID', `${source}: ${why}`, { cause })
    }
  }
  const entries = Object.entries(settings).map(([key, s]) => [key, read(key, s as Setting<unknown>)])
  const config = Object.fromEntries(entries) as Config
  return { ...config, data: resolve(config.data) }
}

function port(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n <= 65_535) return n
  throw new Error(`'${text}' is not a port; give a number from 0 to 65535`)
}

function tls(text: string): string {
  const parts = text.split(',')
  if (text === 'own' || (parts.length >= 2 && parts.length <= 3 && parts.every((part) => part !== '')))
    return text
  throw new Error(`'${text}' is neither own nor two or three files: CERT,KEY or CERT,KEY,CA`)
}

function names(text: string): string {
  if (text.split(',').every((name) => /^[A-Za-z0-9:.-]{1,253}$/.test(name))) return text
  throw new Error(
    `'${text}' are not names or addresses with commas between, for example espalier.lan,10.0.0.2`,
  )
}

function brokerUrl(text: string): string {
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol === 'mqtt:' || protocol === 'mqtts:') return text
  throw new Error(`'${text}' is not an MQTT URL such as mqtt://user:password@host:1883`)
}

function minutes(text: string): number {
  const n = Number(text)
  if (n > 0 && n <= 35_000) return n
  throw new Error(`'${text}' is not a number of minutes above 0`)
}

function days(text: string): number {
  const n = Number(text)
  if (text.trim() !== '' && n >= 0 && n <= 100_000) return n
  throw new Error(`'${text}' is not a number of days`)
}

function yes(text: string): boolean {
  if (['true', '1', 'yes'].includes(text)) return true
  if (['false', '0', 'no'].includes(text)) return false
  throw new Error(`'${text}' is neither true nor false`)
}

function logLevel(text: string): string {
  if (['fatal', 'error', 'warn', 'info', 'debug', 'trace'].includes(text)) return text
  throw new Error(`'${text}' is not a level; give fatal, error, warn, info, debug or trace`)
}
