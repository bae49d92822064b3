import './thrift.js'
import { createRequire } from 'node:module'
import { asEspalierError } from '@espalier/shared'
import { doctor } from './cli/doctor.js'
import { enrol } from './cli/enrol.js'
import { logs } from './cli/logs.js'
import { profile } from './cli/profile.js'
import { type Program, run } from './cli/run.js'
import { status } from './cli/status.js'
import { help, UsageError } from './cli/usage.js'

const { version }: { version: string } = createRequire(import.meta.url)('../package.json')

const program: Program = {
  version,
  measuring: {
    node: new URL('./measure/child.js', import.meta.url),
    python: new URL('./measure/child.py', import.meta.url),
    trtexec: new URL('./measure/trtexec.js', import.meta.url),
  },
  probe: new URL('./facts/probe.js', import.meta.url),
  serveChild: new URL('./serve/child.js', import.meta.url),
}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version') process.stdout.write(`${version}\n`)
  else if (name === '--help' || name === 'help' || args.includes('--help')) process.stdout.write(help)
  else if (name === 'run') await run(args, program)
  else if (name === 'enrol') await enrol(args)
  else if (name === 'status') status(args)
  else if (name === 'logs') logs(args)
  else if (name === 'doctor') return (await doctor(args, program)) ? 0 : 1
  else if (name === 'profile') await profile(args, program)
  else throw new UsageError(name === undefined ? 'a command is needed' : `there is no command '${name}'`)
  return 0
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (e) {
  const error = asEspalierError(e)
  const hint = error instanceof UsageError ? '\nsee: espalier-agent --help' : ''
  process.stderr.write(`espalier-agent: ${error.code}: ${error.message}${hint}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
