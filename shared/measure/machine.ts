import { cpus } from 'node:os'

/** This machine as tables of times name it. */
export const machineName = (): string => `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`
