import { readFileSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import { Command, CommanderError } from 'commander'
import type { Bounds } from '../child/index.js'
import { calledBy, commands } from './commands.js'
import { addLimitOptions, boundsOf } from './limit-options.js'
import { fail, Output } from './output.js'

const version = (): string =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

/** The whole command line; `called` is loaded in full, the others are listed with their summary. */
async function program(called: string | undefined): Promise<Command> {
  const root = new Command('espalier')
    .description('Fits one neural network to every device of a fleet.')
    .version(version())
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .enablePositionalOptions()
  for (const [name, { summary, load, seconds }] of Object.entries(commands)) {
    const command = root.command(name).description(summary)
    if (name !== called) continue
    ;(await load()).command(command)
    if (seconds) addLimitOptions(command, seconds)
  }
  addJson(root)
  nameOptions(root)
  return root
}

function addJson(command: Command): void {
  for (const child of command.commands) addJson(child)
  const known = command.options.some((o) => o.long === '--json')
  if (command.parent && command.commands.length === 0 && !known)
    command.option('--json', 'print one JSON object on standard output')
}

/** What is wrong with an option's value says whose value it is. */
function nameOptions(command: Command): void {
  for (const child of command.commands) nameOptions(child)
  for (const option of command.options) {
    const { parseArg: parse, long } = option
    if (!parse) continue
    option.argParser((text: string, before: unknown) => {
      try {
        return parse(text, before)
      } catch (thrown) {
        if (!(thrown instanceof EspalierError)) throw thrown
        throw new EspalierError(thrown.code, `${long}: ${thrown.message}`)
      }
    })
  }
}

/**
 * Does what the command line says.
 * @param bound is told, before a model is opened, how much memory and time that may take
 * @returns the exit status: 0 on success, 1 on failure, 2 on wrong usage.
 */
export async function run(
  args: readonly string[],
  bound: (bounds: Bounds) => void = () => {},
): Promise<number> {
  process.stdout.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code === 'EPIPE') process.exit(0)
    throw e
  })
  const called = calledBy(args)
  try {
    const root = await program(called)
    if (called && commands[called]?.seconds)
      root.hook('preAction', (_, action) => bound(boundsOf(action.processedArgs[0], action.opts())))
    await root.parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    return fail(thrown, new Output(args.includes('--json')))
  }
}
