import { type ParseArgsConfig, parseArgs } from 'node:util'
import { asEspalierError, EspalierError } from '@espalier/shared'
import type { Command } from '@espalier/shared/measure/index.js'
import { type MeasuringScripts, runtimeOf } from '../measure/runtimes.js'
import { errnoOf } from '../store/files.js'

/** Wrong usage: exit status 2. */
export class UsageError extends EspalierError {
  constructor(message: string) {
    super('OPTION_INVALID', message)
  }
}

export const help = `espalier-agent: fetches the variants of a network, measures them on this device and keeps the best

  espalier-agent enrol CODE --credential FILE [--id ID] [--force]
                                                                turn an operator's code into this device's credential
  espalier-agent run --credential FILE --state DIR [options]    run until SIGTERM or Ctrl-C
  espalier-agent status --state DIR [--json]                    what this device has and does
  espalier-agent logs --state DIR [--lines N]                   what its agent wrote, up to 1 MB
  espalier-agent doctor [--credential FILE] [--state DIR] [--runtime NAME] [--json]
                                                                whether this device can run the agent
  espalier-agent profile -o FILE [--threads N] [--json]         how long operators take here, for fit --latency

The code comes from the operator (espalier tokens create); or the credential file itself does (espalier devices
create). It is read by its owner only. A password that the service replaces later lies in the state directory.
The state directory holds everything the agent keeps. Applications open DIR/current/model.onnx;
DIR/current/manifest.json tells its inputs, outputs, preprocessing and labels.

Options of run
  --memory SIZE       what a model may take, such as 4MB; without it: this machine's (or its cgroup's) memory
                      less the runtime, the agent and a tenth
  --p95 MS            the latency that 95 of 100 queries must keep
  --top1 SHARE        the least accuracy, such as 0.9
  --objective NAME    what to choose by within these limits, where the assignment does not say: accuracy (the most
                      accurate, the default), speed (the fastest) or smallness (the least memory)
  --label KEY=VALUE   a label for the operator's selections; may be repeated
  --every DURATION    how often the active variant is measured again, such as 30s, 15m or 1h (default); 0 for never
  --serve PORT        answer inference requests with the active variant on 127.0.0.1:PORT (Open Inference Protocol v2,
                      http://127.0.0.1:PORT/v2); 0 for any free port
  --hook PROGRAM      run whenever another variant is active, with ESPALIER_CURRENT (the folder), ESPALIER_MODEL,
                      ESPALIER_VERSION, ESPALIER_VARIANT and ESPALIER_DIGEST set, and ESPALIER_THREADS and
                      ESPALIER_PROVIDER, with which it is fastest; it has 60 s and should exit with 0
  --benchmark NAME    quick (default: at least 5 s and 130 queries, for p95), standard (at least 60 s and 662 queries,
                      for p99 as well) or brief (130 queries, at most 5 s). What is active is measured in turn with
                      what might take its place, where there is memory for both
  --runtime NAME      what measures: onnxruntime-node (default), onnxruntime-python[=PYTHON], trtexec[=PROGRAM] or
                      command=PROGRAM, each PROGRAM with its arguments (docs/measuring.md)
  --threads N         threads that run a model (default auto: 1, 2 and all cores are tried with each variant, briefly)
  --provider NAME     the runtime's execution provider (default auto: all that open a session here are tried)
  --memory-runs N     fresh processes in which memory is measured; the largest counts (default 5)
  --host-lock FILE    agents that share this file measure one at a time (default: one for the whole host)
  --fact-root DIR     where /proc, /sys and /etc of the machine are found (default /)
  --timings JSON      patience in ms: {"reconnectMs":[500,30000],"retryMs":[60000,3600000],"blockPatienceMs":1000,
                      "reportPatienceMs":30000,"keepaliveSeconds":30} are the defaults
  --help, --version

Exit status: 0 after an orderly end, 1 on failure, 2 on wrong usage.

Example
  espalier-agent run --credential /etc/espalier/credential.json --state /var/lib/espalier --memory 4MB --label room=hall
`

/** parseArgs, with wrong usage told apart from failure. */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (e) {
    if (errnoOf(e)?.startsWith('ERR_PARSE_ARGS')) throw new UsageError(asEspalierError(e).message)
    throw e
  }
}

/** What measures unless the operator says otherwise. */
export const defaultRuntime = 'onnxruntime-node'

export function parseRuntime(
  text: string,
  { measuring }: { readonly measuring: MeasuringScripts },
): URL | Command {
  try {
    return runtimeOf(text, measuring)
  } catch (e) {
    throw e instanceof EspalierError ? new UsageError(e.message) : e
  }
}

/** `30s`, `15m`, `1h`, `500ms` or `0`, in ms. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  const factors: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  const ms = text === '0' ? 0 : match ? Number(match[1]) * factors[match[2]] : Number.NaN
  if (!(ms <= 2 ** 31 - 1))
    throw new UsageError(`'${text}' is not a duration; write for example 30s, 15m, 1h or 0`)
  return ms
}

export function parsePositive(option: string, text: string): number {
  const value = Number(text)
  if (!(text.trim() !== '' && value > 0 && value < 1e15))
    throw new UsageError(`--${option} '${text}' is not a positive number`)
  return value
}

/** How many threads the runtime has. */
export function parseThreads(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 1024) return value
  throw new UsageError(`--threads '${text}' is not a number of threads from 1 to 1024`)
}

export function parseShare(option: string, text: string): number {
  const value = Number(text)
  if (!(text.trim() !== '' && value >= 0 && value <= 1))
    throw new UsageError(`--${option} '${text}' is not a share; write for example 0.9`)
  return value
}

export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,62})=(.{0,200})$/.exec(text)
      if (!match) throw new UsageError(`--label '${text}' is not KEY=VALUE; write for example room=hall`)
      return [match[1], match[2]]
    }),
  )
}
