#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import type { Define } from './command.js'
import { fail, Output } from './output.js'

type Entry = readonly [summary: string, load: () => Promise<{ command: Define }>]

/** Every command, by name. Only the one that is called is loaded. */
const commands: Readonly<Record<string, Entry>> = {
  up: ['start the service: dashboard, HTTP API, MQTT broker, compiler', () => import('./up.js')],
  agent: ['start espalier-agent, the program of a device', () => import('./agent.js')],
  bench: ['measure latency and memory in fresh processes', () => import('./bench.js')],
  eval: ['accuracy of a classifier, by class', () => import('./eval.js')],
  finetune: ['train any classifier, from labels or a teacher', () => import('./finetune.js')],
  fit: ['prune to budgets of memory or arithmetic, fine-tune, measure', () => import('./fit.js')],
  inspect: ['describe an ONNX file: cost, groups, what cannot be pruned', () => import('./inspect.js')],
  prune: ['remove whole channels, neurons and heads', () => import('./prune.js')],
  models: ['list, show and register the models of a running service', () => import('./models.js')],
  datasets: ['list and register the data of a running service', () => import('./datasets.js')],
  compilations: ['compile models into variants on a running service', () => import('./compilations.js')],
  variants: ['list, show and withdraw variants', () => import('./variants.js')],
  devices: ['list, show, register and assign devices', () => import('./devices.js')],
}

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
  for (const [name, [summary, load]] of Object.entries(commands)) {
    const command = root.command(name).description(summary)
    if (name === called) (await load()).command(command)
  }
  addJson(root)
  return root
}

function addJson(command: Command): void {
  for (const child of command.commands) addJson(child)
  const known = command.options.some((o) => o.long === '--json')
  if (command.parent && command.commands.length === 0 && !known)
    command.option('--json', 'print one JSON object on standard output')
}

/** @returns the exit status: 0 on success, 1 on failure, 2 on wrong usage. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const called = args[0] === 'help' ? args[1] : args.find((a) => !a.startsWith('-'))
    await (await program(called)).parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    return fail(thrown, new Output(args.includes('--json')))
  }
}

process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  if (e.code === 'EPIPE') process.exit(0)
  throw e
})
process.exitCode = await main(process.argv.slice(2))
