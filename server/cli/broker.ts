import { Option } from 'commander'
import { exporters } from '../broker/index.js'
import { type Define, outputOf } from './command.js'

interface Options {
  readonly for: string
  readonly user: string
  readonly json?: boolean
}

export const command: Define = (broker) => {
  broker
    .command('export')
    .description("print who may use which topic, in another broker's own form")
    .addOption(
      new Option('--for <broker>', 'whose form').choices(Object.keys(exporters)).makeOptionMandatory(),
    )
    .option('--user <name>', 'the user name that the service connects with', 'espalier')
    .addHelpText(
      'after',
      `\n${Object.entries(exporters)
        .map(([name, { about }]) => `  ${name}: ${about}`)
        .join('\n')}`,
    )
    .action((options: Options) => {
      const text = exporters[options.for].write(options.user)
      outputOf(options).result({ for: options.for, permissions: text }, () => text.trimEnd())
    })
}
