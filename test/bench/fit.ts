import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { floor } from '@espalier/server/compiler/budget/index.js'
import type { VariantLimits } from '@espalier/server/compiler/limits.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { fit } from '@espalier/server/compiler/recipes/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { measureMemory } from '@espalier/shared/measure/index.js'
import { cifarNetworks, digitsNetwork, type Subject } from './parts/subjects.js'

export const about =
  'fit to 75, 50 and 25 % of the way from floor to dense memory, and to half the MACs: --network (sample,resnet8,resnet20) --images --epochs --lr --shift --teacher-share --cases macs,75,50,25; a case params25 is a quarter of the parameters'

const networks: Readonly<Record<string, Subject>> = { sample: digitsNetwork, ...cifarNetworks }

/**
 * Fits a network to its budgets and keeps the figures in test/bench/results. What was interrupted goes on where it was
 * when it is run again with the same options.
 */
export default async function fitBench(options: Readonly<Record<string, string>>): Promise<object> {
  const name = options.network ?? 'sample'
  const network = networks[name]
  if (!network) throw new Error(`no network is named ${name}; there are: ${Object.keys(networks).join(', ')}`)
  const cases = (options.cases ?? 'macs,75,50,25').split(',')
  const called = cases.every((c) => c.startsWith('params')) ? `fit-${name}-params` : `fit-${name}`
  const out = join('.build/bench', called)
  await mkdir(out, { recursive: true })
  const { dense, floor } = await span(network, join(out, 'span.json'))
  const limits = (of: string): VariantLimits =>
    of === 'macs'
      ? { macs: 0.5 }
      : of.startsWith('params')
        ? { params: Number(of.slice('params'.length)) / 100 }
        : { memoryBytes: Math.round(floor + (Number(of) / 100) * (dense - floor)) }
  const { model, load, flip } = network
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const training = {
    flip,
    lr: number(options.lr),
    shift: number(options.shift),
    teacherShare: number(options['teacher-share']),
  }
  const result = await fit(
    {
      ...{ model, load, out, training },
      data: options.images ? `${network.data}#first=${options.images}` : network.data,
      eval: network.eval,
      epochs: Number(options.epochs ?? 2),
      seed: 1,
      variants: cases.map(limits),
    },
    ({ stage, variant, done, total, message }) => {
      if (stage !== 'train' || done === total) console.error(variant ?? '', message ?? stage)
    },
  )
  const { report: _, ...figures } = result
  const record = {
    command: `npm run bench -- fit ${Object.entries(options)
      .flatMap(([k, v]) => [`--${k}`, v])
      .join(' ')}`.trim(),
    machine: `${cpus().length} × ${cpus()[0].model}, node ${process.version}`,
    ...{ model, data: network.data, eval: network.eval },
    dense: short(figures.dense),
    variants: figures.variants.map(short),
    seconds: Math.round(figures.seconds),
  }
  await writeFile(`test/bench/results/${called}.json`, `${JSON.stringify(record, null, 2)}\n`)
  return record
}

/** Measured memory of the network and of its floor: the same for every run on this machine. */
async function span({ model, load }: Subject, file: string): Promise<{ dense: number; floor: number }> {
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8'))
  const subject = await prunable(await readModelFile(model), load?.shapes)
  const least = `${file}.onnx`
  await writeModelFile(pruned(subject, floor(subject.coupling).removed), least)
  const options = { child: measuringChild, shapes: load?.shapes }
  const found = {
    dense: (await measureMemory(model, options)).measuredRamBytes,
    floor: (await measureMemory(least, options)).measuredRamBytes,
  }
  await writeFile(file, JSON.stringify(found))
  return found
}

/** Without what would make the record long. */
function short<T extends object>(figures: T): Partial<T> {
  const leave = ['classes', 'groups', 'blocks', 'file']
  return Object.fromEntries(Object.entries(figures).filter(([key]) => !leave.includes(key))) as Partial<T>
}
