import { calledBy, commands } from './commands.js'

const args = process.argv.slice(2)
const called = calledBy(args)
const opensModel = called !== undefined && args[0] !== 'help' && commands[called]?.seconds !== undefined
// What is not needed is not loaded: the command itself runs in another process where it opens a model.
process.exitCode = opensModel
  ? await (await import('./supervise.js')).supervise(args)
  : await (await import('./program.js')).run(args)
