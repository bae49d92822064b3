import { Option } from 'commander'
import { exporters } from '../broker/index.js'
import { type Define, many, outputOf } from './command.js'

interface Options {
  readonly for: string
  readonly user: string
  readonly device?: readonly string[]
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
    .option('--device <id>', 'a device, where the broker has to be told of each; repeat it', many(String))
    .addHelpText(
      'after',
      `\n${Object.entries(exporters)
        .map(([name, { about }]) => `  ${name}: ${about}`)
        .join('\n')}`,
    )
    .action((options: Options) => {
      const text = exporters[options.for].write(options.user, options.device ?? [])
      outputOf(options).result({ for: options.for, permissions: text }, () => text.trimEnd())
    })
}
