import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { readLog } from '../store/log-file.js'
import { parse, parsePositive, UsageError } from './usage.js'

/** `espalier-agent logs`: what this device's agent wrote, with or without a running agent. */
export function logs(args: string[]): void {
  const { values } = parse({
    args,
    options: { state: { type: 'string' }, lines: { type: 'string' } },
  })
  if (!values.state) throw new UsageError('logs needs --state DIR')
  const lines = values.lines === undefined ? null : Math.ceil(parsePositive('lines', values.lines))
  if (!existsSync(join(values.state, 'artifacts')))
    throw new EspalierError(
      'FILE_NOT_FOUND',
      `${values.state} is no state directory of an agent; see espalier-agent run`,
    )
  const text = readLog(join(values.state, 'logs'))
  process.stdout.write(
    lines === null
      ? text
      : text
          .split('\n')
          .slice(-lines - 1)
          .join('\n'),
  )
}
