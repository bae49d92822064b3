import { resolve } from 'node:path'
import { readConfig, settings } from '@espalier/server/config.js'
import t from 'tap'

t.test('a flag goes before the environment, and that before the default', (t) => {
  const env = { ESPALIER_PORT: '81', ESPALIER_MQTT_PORT: '82', ESPALIER_MAX_UPLOAD: '3MiB' }
  const config = readConfig({ port: '91' }, env)
  t.match(config, { port: 91, mqttPort: 82, upload: 3 * 2 ** 20, insecureLan: false, logLevel: 'info' })
  t.equal(config.data, resolve('.espalier'), 'the data folder is absolute')
  t.equal(readConfig({ insecureLan: true }, {}).insecureLan, true)
  t.equal(readConfig({}, { ESPALIER_PORT: '' }).port, 8080, 'an empty variable is none')
  t.end()
})

t.test('a wrong value is refused by the name under which it was given', (t) => {
  const cases: [Record<string, string>, Record<string, string>, RegExp][] = [
    [{ port: '70000' }, {}, /^--port: '70000' is not a port/],
    [{ port: '-1' }, {}, /^--port/],
    [{}, { ESPALIER_MQTT_PORT: 'x' }, /^ESPALIER_MQTT_PORT: 'x'/],
    [{ upload: '4 apples' }, {}, /^--max-upload: '4 apples' is not a size/],
    [{ compileMinutes: '0' }, {}, /^--compile-minutes/],
    [{ logLevel: 'loud' }, {}, /^--log-level: 'loud'/],
    [{}, { ESPALIER_INSECURE_LAN: 'maybe' }, /^ESPALIER_INSECURE_LAN/],
    [{ broker: 'http://x' }, {}, /^--broker: 'http:\/\/x' is not an MQTT URL/],
  ]
  for (const [flags, env, message] of cases) {
    t.throws(() => readConfig(flags, env), { code: 'CONFIG_INVALID', message }, String(message))
  }
  t.end()
})

t.test('flags and environment variables are each used once', (t) => {
  const all = Object.values(settings)
  t.equal(new Set(all.map((s) => s.env)).size, all.length)
  t.equal(new Set(all.map((s) => s.flag)).size, all.length)
  t.end()
})
