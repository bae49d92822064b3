import { measure, type Profile } from '@espalier/shared/measure/index.js'
import { readModelFile } from '../compiler/onnx/index.js'
import { measuringChild } from '../compiler/runtime/index.js'
import { type Define, interruption, outputOf, positive, threads } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { facts, show } from './output.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly threads: number
  readonly seconds?: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument('<model>', 'an ONNX file')
    .option('--threads <n>', 'threads of the runtime', threads, 1)
    .option('--seconds <s>', 'time queries for so long (default: 1000 queries, at most 60 s)', positive)
    .addHelpText(
      'after',
      `
Latency is that of single queries in a fresh process, after a warm-up until steady. A percentile is given once
there are enough queries to know it: 64 for p90, 130 for p95, 662 for p99. Memory is what the model adds, at its
peak, to a process in which the runtime has already run a small network: the largest of five fresh processes.

  espalier bench model.onnx
  espalier bench model.onnx --seconds 5 --json`,
    )
    .action(bench)
}

async function bench(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  await readModelFile(model) // says what is wrong with a file more clearly than the runtime does
  const progress = out.progress()
  progress.update('measuring in five fresh processes')
  const seconds = options.seconds
  const profile: Profile = {
    queries: 1000,
    leastSeconds: seconds ?? 0,
    seconds: seconds ?? 60,
    warmUpSeconds: 0,
  }
  const measured = await measure(model, profile, {
    child: measuringChild,
    threads: options.threads,
    shapes: options.shape,
    timeoutMs: 120_000 + profile.seconds * 1000,
    signal: interruption(),
  }).finally(() => progress.done())
  const { inputs: _, ...result } = measured
  out.result({ ...result, threads: options.threads }, () =>
    facts({
      queries: `${measured.runs} after ${measured.warmUps} to warm up${measured.steady ? '' : ' (not yet steady)'}`,
      p50: show.ms(measured.p50Ms),
      p90: show.ms(measured.p90Ms),
      p95: show.ms(measured.p95Ms),
      p99: show.ms(measured.p99Ms),
      'cold load': show.ms(measured.coldLoadMs),
      memory: `${show.bytes(measured.measuredRamBytes)} (median ${show.bytes(measured.medianRamBytes)}, spread ${show.bytes(measured.spreadRamBytes)}, ${measured.processes} processes)`,
      "runtime's base": show.bytes(measured.runtimeBaseBytes),
      'whole process': show.bytes(measured.processBytes),
      runtime: `${measured.runtime} ${measured.runtimeVersion}, ${options.threads} thread${options.threads === 1 ? '' : 's'}`,
    }),
  )
}
