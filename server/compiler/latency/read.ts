import { readFile } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'
import { machineName, type OperatorTimes, operatorTimes } from '@espalier/shared/measure/index.js'
import { parse } from '@espalier/shared/messages/message.js'

/** A file that `espalier profile` wrote. @throws FILE_NOT_FOUND, MESSAGE_INVALID, MESSAGE_TOO_LARGE */
export async function readTimes(path: string): Promise<OperatorTimes> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the profile '${path}': ${cause.code}`, { cause })
  })
  return parse(operatorTimes, bytes)
}

/** Whether a table is of this machine, so that what it expects can be measured. */
export const isOfHere = ({ machine }: OperatorTimes): boolean => machine === machineName()
