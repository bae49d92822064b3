import { EspalierError } from '@espalier/shared'
import type { Command } from 'commander'
import type { LoadOptions } from '../compiler/data/index.js'
import { positive, size } from './command.js'

/** What the options of `addDataOptions` give. */
export interface DataOptions {
  readonly mean?: number[]
  readonly std?: number[]
  readonly scale?: number
  readonly layout?: 'nchw' | 'nhwc'
  readonly shape?: Record<string, number[]>
  readonly answer?: string
  readonly dataMemory?: number
}

export const dataHelp = `
Data: idx:IMAGES,LABELS (MNIST's format, gzip allowed), npz:FILE (an array x, or for a network of several inputs one of
each name, for example input_ids and attention_mask, and optionally y: classes, or several numbers a sample, or fractions,
as targets), or images:FOLDER (one folder a class in order of their names, or flat and unlabelled); after any of
them #first=N and #skip=N.`

/** Adds the preprocessing options that every command with --data takes. */
export function addDataOptions(command: Command): Command {
  return addShapeOption(command)
    .option(
      '--scale <number>',
      'preprocessing: y = (x · scale − mean) / std; 1/255 for bytes, else 1',
      positive,
    )
    .option('--mean <numbers...>', 'one, or one a channel', numbers)
    .option('--std <numbers...>', 'one, or one a channel', numbers)
    .option('--layout <nchw|nhwc>', "where the input's channels are; found by itself if not given", layout)
    .option('--answer <output>', 'the output that labels or targets are for; the first if not given')
    .option(
      '--data-memory <B>',
      'data that take more are read from disk a batch at a time; 256MiB if not given',
      size,
    )
    .addHelpText('after', dataHelp)
}

/** Adds `--shape NAME=1,3,48,192`, for inputs with dynamic dimensions. */
export const addShapeOption = (command: Command): Command =>
  command.option('--shape <name=sizes>', 'size of an input with dynamic dimensions: NAME=1,3,48,192', shape)

/** The options as `loadDataset` takes them. */
export const loadOptionsOf = ({ mean, std, scale, layout, shape, ...more }: DataOptions): LoadOptions => ({
  mean,
  std,
  scale,
  layout,
  shapes: shape,
  answer: more.answer,
  memory: more.dataMemory,
})

const invalid = (text: string, wanted: string) =>
  new EspalierError('OPTION_INVALID', `'${text}' is not ${wanted}`)

function numbers(text: string, before: number[] = []): number[] {
  const values = text.split(',').map(Number)
  if (text.trim() === '' || !values.every(Number.isFinite))
    throw invalid(text, 'a number, or several with commas')
  return [...before, ...values]
}

function layout(text: string): 'nchw' | 'nhwc' {
  if (text === 'nchw' || text === 'nhwc') return text
  throw invalid(text, 'a layout: nchw or nhwc')
}

function shape(text: string, before: Record<string, number[]> = {}): Record<string, number[]> {
  const at = text.lastIndexOf('=')
  const dims = text
    .slice(at + 1)
    .split(/[,x]/)
    .map(Number)
  if (at < 1 || !dims.every((d) => Number.isSafeInteger(d) && d > 0))
    throw invalid(text, 'an input and its sizes, for example image=1,3,224,224')
  return { ...before, [text.slice(0, at)]: dims }
}
