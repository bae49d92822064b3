import { timeAlone, timeInTurn } from './alone.js'
import { machineName } from './machine.js'
import { machineOperators, type Subject } from './machine-operators.js'
import type { OperatorTimes } from './operator-times.js'
import { MeasuringProcess, type ProcessOptions } from './process.js'
import { smallModel } from './small-models.js'

/** Networks that tell what operators take together over what they take alone: dense and depthwise-separable stacks. */
function stacks(operators: readonly Subject[]): readonly (readonly Subject[])[] {
  const find = (k: number, channels: number, map: number, group: number) =>
    operators.filter(
      ({ op, kind, constants = [], input, output }) =>
        op === 'Conv' &&
        kind === (group > 1 ? 'grouped' : '') &&
        constants[0][3] === k &&
        input[1] === channels &&
        output[1] === channels &&
        output[2] === map,
    )
  const repeated = (parts: readonly Subject[]) => [...parts, ...parts, ...parts, ...parts]
  return [
    repeated(find(3, 32, 28, 1)),
    repeated(find(3, 64, 14, 1)),
    repeated([...find(3, 64, 28, 64), ...find(1, 64, 28, 1)]),
    repeated([...find(3, 128, 14, 128), ...find(1, 128, 14, 1)]),
  ]
}

export interface MachineProfileOptions extends ProcessOptions {
  readonly threads?: number
  readonly on?: (stage: string, done?: number, total?: number) => void
}

/**
 * Times of the operators of edge networks on this machine, whatever network they are asked for: coarser than a table of
 * one network's own sizes, and made without knowing any.
 * @throws MEASURING_FAILED; the signal's reason when aborted
 */
export async function profileMachine({
  threads = 1,
  on = () => {},
  ...options
}: MachineProfileOptions): Promise<OperatorTimes> {
  const subjects = machineOperators()
  const process = await MeasuringProcess.start({ timeoutMs: 600_000, ...options })
  try {
    const stage = `measuring ${subjects.length} operators`
    const modelOf = (i: number) => smallModel(subjects[i].input, [subjects[i]])
    const { queryMs, ms } = await timeAlone(process, subjects.length, modelOf, {
      threads,
      on: (done) => on(stage, done, subjects.length),
    })
    on('measuring networks of them')
    const times = new Map(subjects.map((s, i) => [s, ms[i] ?? 0]))
    const networks = stacks(subjects)
    const whole = await timeInTurn(
      process,
      networks.map((parts) => smallModel(parts[0].input, parts)),
      { threads, rounds: 9, roundMs: 20 },
    )
    const over = networks.flatMap((parts, i) => {
      const sum = parts.reduce((total, s) => total + (times.get(s) ?? 0), 0)
      const took = whole[i]
      return took === null || sum <= 0 ? [] : [Math.log(Math.max(0.05, (took - queryMs) / sum))]
    })
    return {
      espalierProfile: 1,
      machine: machineName(),
      runtime: process.ready.runtime,
      runtimeVersion: process.ready.runtimeVersion,
      threads,
      queryMs,
      scale: over.length > 0 ? Math.exp(over.reduce((a, b) => a + b, 0) / over.length) : 1,
      operators: subjects.flatMap(({ op, kind, input, constants = [], output, twice }, i) => {
        const time = ms[i]
        const dims = [input, ...(twice ? [input] : []), ...constants, output].map((d) => [...d])
        return time === null ? [] : [{ op, kind, dims, ms: time }]
      }),
    }
  } finally {
    process.close()
  }
}
