import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { profileMachine } from '@espalier/shared/measure/index.js'
import { writeAtomic } from '../store/files.js'
import { takeLock } from '../store/lock.js'
import { defaultHostLock, type Program } from './run.js'
import { parse, parseThreads, UsageError } from './usage.js'

/** `espalier-agent profile`: writes a table of operator times of this device, by which fit --latency expects. */
export async function profile(args: string[], program: Program): Promise<void> {
  const { values } = parse({
    args,
    options: {
      output: { type: 'string', short: 'o' },
      threads: { type: 'string', default: '1' },
      'host-lock': { type: 'string', default: defaultHostLock },
      json: { type: 'boolean', default: false },
    },
  })
  const file = values.output
  if (!file) throw new UsageError('profile needs -o FILE, where the table is to be written')
  written(file, () => {
    accessSync(`${dirname(file)}/.`, constants.W_OK)
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) throw new Error(`'${file}' is no file`)
  })
  const threads = parseThreads(values.threads)
  const lock = takeLock(values['host-lock'])
  if (!('release' in lock))
    throw new EspalierError(
      'STATE_LOCKED',
      `another agent of this host measures (process ${lock.heldBy}); try again in a minute`,
    )
  try {
    const times = await profileMachine({ child: program.measuring.node, threads, on: told() })
    written(file, () => writeAtomic(file, `${JSON.stringify(times)}\n`))
    const { operators, ...rest } = times
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ ...rest, operators: operators.length, file })}\n`
        : `${operators.length} operators of ${times.machine}, ${times.runtime} ${times.runtimeVersion}, are in ${file}\n` +
            `next, where models are compiled: espalier fit MODEL --latency MS --profile ${file} …\n`,
    )
  } finally {
    lock.release()
  }
}

/** Says on standard error what is done, a line for each stage and each tenth of it. */
function told(): (stage: string, done?: number, total?: number) => void {
  let last = ''
  return (stage, done, total) => {
    const line = done && total ? `${stage}: ${Math.floor((10 * done) / total)}0 %` : stage
    if (line !== last) process.stderr.write(`${line}\n`)
    last = line
  }
}

/** @throws WRITE_FAILED */
function written(file: string, write: () => void): void {
  try {
    write()
  } catch (cause) {
    const why = asEspalierError(cause).message
    throw new EspalierError('WRITE_FAILED', `${file}: ${why}; name another file with -o`, { cause })
  }
}
