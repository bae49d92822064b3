import { profileMachine } from '@espalier/shared/measure/index.js'
import { readModelFile, writeFiles } from '../compiler/onnx/index.js'
import { profile } from '../compiler/recipes/index.js'
import { measuringChild } from '../compiler/runtime/index.js'
import { count, type Define, interruption, outputOf, threads } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { facts, show } from './output.js'
import { requirePlaces } from './places.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly output: string
  readonly threads: number
  readonly round: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument(
      '[model]',
      'an ONNX file whose operators are measured (default: operators of edge networks in general)',
    )
    .requiredOption('-o, --output <file>', 'where the table goes')
    .option('--threads <n>', 'threads of the runtime', threads, 1)
    .option('--round <n>', 'look at multiples of so many channels', count, 8)
    .addHelpText(
      'after',
      `
Measures on this machine every operator of the model at the sizes that pruning can give it, and the model itself in a
few forms. Without a model, operators of edge networks over the sizes they come in: coarser, but for any model; a device
makes such a table by espalier-agent profile. fit --latency MS --profile FILE then chooses channel counts by these times;
counts that are no faster than the next larger one are left out.

  espalier profile -o here.json
  espalier profile model.onnx -o here.json
  espalier fit model.onnx --latency 2 --profile here.json --data images:train -o variants`,
    )
    .action(run)
}

async function run(model: string | undefined, options: Options): Promise<void> {
  requirePlaces(model, { table: options.output })
  const out = outputOf(options)
  const progress = out.progress()
  const on = (stage: string, done?: number, total?: number) => progress.update(stage, done, total)
  const { threads, round, shape: shapes } = options
  const signal = interruption()
  const measuring = model
    ? profile(await readModelFile(model), { threads, round, shapes, on, signal })
    : profileMachine({ child: measuringChild, threads, on, signal }).then((times) => ({ times, checks: [] }))
  const { times, checks } = await measuring.finally(() => progress.done())
  await writeFiles(new Map([[options.output, `${JSON.stringify(times)}\n`]]))
  const { operators, ...rest } = times
  out.result({ ...rest, operators: operators.length, checks }, () =>
    facts({
      machine: times.machine,
      operators: operators.length,
      'a query of nothing': show.ms(times.queryMs),
      'whole networks over sums': times.scale.toFixed(3),
      ...Object.fromEntries(
        checks.map(({ share, predictedMs, measuredMs }) => [
          `with ${Math.round(100 * share)} % of the units`,
          `${show.ms(predictedMs)} predicted, ${show.ms(measuredMs)} measured: ${(predictedMs / measuredMs).toFixed(2)}`,
        ]),
      ),
      'written to': options.output,
    }),
  )
}
