export { agreement, type EvaluateOptions, type Evaluation, evaluate } from './evaluate.js'
export { openSession, outline, run, type Session, type SessionOptions, toRuntime } from './session.js'

/** The script of a process that measures with this package's onnxruntime; see `@espalier/shared/measure`. */
export const measuringChild = new URL('./measuring-child.js', import.meta.url)
