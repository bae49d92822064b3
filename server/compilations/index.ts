export { Compilations, type CompilationsOptions } from './compilations.js'
export type { DenseFigures, Job, JobProgress, JobResult } from './job.js'
