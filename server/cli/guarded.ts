import { run } from './program.js'

/** The child's side of `supervise`. Without its parent it ends, and with it every process it started. */
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))
process.channel?.unref() // the command's end is the process's end
process.exitCode = await run(process.argv.slice(2), (bounds) => process.send?.(bounds))
