import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { EspalierError } from '@espalier/shared'
import type { Define } from './command.js'

export const command: Define = (agent) => {
  agent
    .argument('[arguments...]', "the agent's own: run, status …; see espalier agent --help")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[]) => {
      const child = spawn(process.execPath, [program(), ...(args.length > 0 ? args : ['--help'])], {
        stdio: 'inherit',
      })
      const stop = (signal: NodeJS.Signals) => child.kill(signal)
      process.on('SIGTERM', stop).on('SIGINT', () => {}) // Ctrl-C reaches the agent by itself
      const [status] = await once(child, 'exit')
      process.exitCode = status ?? 1
    })
}

/** @throws FILE_NOT_FOUND */
function program(): string {
  try {
    return createRequire(import.meta.url).resolve('@espalier/agent/main.js')
  } catch (cause) {
    throw new EspalierError(
      'FILE_NOT_FOUND',
      'the agent is not installed here; install it with: npm install @espalier/agent',
      { cause },
    )
  }
}
