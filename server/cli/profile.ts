import { writeFile } from 'node:fs/promises'
import { readModelFile } from '../compiler/onnx/index.js'
import { profile } from '../compiler/recipes/index.js'
import { count, type Define, interruption, outputOf } from './command.js'
import { addShapeOption, type DataOptions } from './data-options.js'
import { facts, show } from './output.js'

interface Options extends Pick<DataOptions, 'shape'> {
  readonly output: string
  readonly threads: number
  readonly round: number
  readonly json?: boolean
}

export const command: Define = (c) => {
  addShapeOption(c)
    .argument('<model>', 'an ONNX file whose operators are measured')
    .requiredOption('-o, --output <file>', 'where the table goes')
    .option('--threads <n>', 'threads of the runtime', count, 1)
    .option('--round <n>', 'look at multiples of so many channels', count, 8)
    .addHelpText(
      'after',
      `
Measures on this machine every operator of the model at the sizes that pruning can give it, and the model itself in a
few forms. fit --latency MS --profile FILE then chooses channel counts by these times; counts that are no faster than
the next larger one are left out.

  espalier profile model.onnx -o here.json
  espalier fit model.onnx --latency 2 --profile here.json --data images:train -o variants`,
    )
    .action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const out = outputOf(options)
  const progress = out.progress()
  const { times, checks } = await profile(await readModelFile(model), {
    threads: options.threads,
    round: options.round,
    shapes: options.shape,
    on: (stage, done, total) => progress.update(stage, done, total),
    signal: interruption(),
  }).finally(() => progress.done())
  await writeFile(options.output, `${JSON.stringify(times)}\n`)
  const { operators, ...rest } = times
  out.result({ ...rest, operators: operators.length, checks }, () =>
    facts({
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
