import { join } from 'node:path'
import { parseBytes } from '@espalier/shared'
import pino from 'pino'
import { readConfig, settings } from '../config.js'
import { type Define, interruption, outputOf } from './command.js'

export const command: Define = (up) => {
  for (const { flag, env, default: value, read, help } of Object.values(settings)) {
    const typed = read === parseBytes ? inUnits(Number(value)) : value
    const otherwise = value === '' || value === false ? '' : `, default ${typed}`
    up.option(flag, `${help} (${env}${otherwise})`)
  }
  up.addHelpText(
    'after',
    '\nEverything stays in the data folder; start again with the same one to go on. Ctrl-C ends the service cleanly.',
  )
  up.action(async (options: Record<string, string | boolean | undefined> & { json?: boolean }) => {
    const out = outputOf({ json: options.json })
    const stop = interruption()
    const { maxUpload: upload, ...flags } = options
    const config = readConfig({ ...flags, upload })
    const { startService } = await import('../main.js')
    const log = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }))
    const service = await startService(config, log)
    const { url, secureUrl, mqttUrl } = service
    out.result({ url, secureUrl, mqttUrl, data: config.data }, () =>
      [
        `Dashboard and API  ${url}`,
        ...(secureUrl
          ? [
              `From elsewhere     ${secureUrl}, with the token in ${join(config.data, 'token')}`,
              ...(config.tls === 'own'
                ? [`Its authority      ${join(config.data, 'tls', 'ca.pem')}, for browsers and for --ca`]
                : []),
            ]
          : []),
        `Devices connect to ${mqttUrl}`,
        `Data               ${config.data}`,
      ].join('\n'),
    )
    await new Promise<void>((resolve) => {
      if (stop.aborted) resolve()
      stop.addEventListener('abort', () => resolve())
    })
    log.info('ending')
    await service.close()
  })
}

/** A size as one would type it. */
const inUnits = (bytes: number): string =>
  bytes % 2 ** 30 === 0 ? `${bytes / 2 ** 30}GiB` : `${bytes / 2 ** 20}MiB`
