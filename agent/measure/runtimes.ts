import { fileURLToPath } from 'node:url'
import { EspalierError } from '@espalier/shared'
import type { Command } from '@espalier/shared/measure/index.js'

/** Where the scripts of measuring children lie. */
export interface MeasuringScripts {
  readonly node: URL
  readonly python: URL
  readonly trtexec: URL
}

type Child = URL | Command

/** Programs of these runtimes where the operator names none. */
const usual = { python: 'python3', trtexec: '/usr/src/tensorrt/bin/trtexec' } as const

/** What measures with each runtime, given a program and its arguments, if any: the docs' table (docs/measuring.md). */
const runtimes: Readonly<
  Record<string, (scripts: MeasuringScripts, program: readonly string[]) => Child | null>
> = {
  'onnxruntime-node': ({ node }, program) => (program.length > 0 ? null : node),
  'onnxruntime-python': ({ python }, [file = usual.python, ...args]) => ({
    file,
    args: [...args, fileURLToPath(python)],
  }),
  trtexec: ({ trtexec }, [file = usual.trtexec, ...args]) => ({
    file: process.execPath,
    args: [fileURLToPath(trtexec), file, ...args],
  }),
  command: (_, [file, ...args]) => (file ? { file, args } : null),
}

/**
 * The measuring child that an operator asks for as NAME or `NAME=PROGRAM ARGUMENT…`.
 * @throws OPTION_INVALID
 */
export function runtimeOf(text: string, scripts: MeasuringScripts): Child {
  const [, name, given = ''] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
  const child = Object.hasOwn(runtimes, name)
    ? runtimes[name](
        scripts,
        given.split(/\s+/).filter((part) => part !== ''),
      )
    : null
  if (child) return child
  throw new EspalierError(
    'OPTION_INVALID',
    `--runtime '${text}' is unknown; it can be onnxruntime-node, onnxruntime-python[=PYTHON], ` +
      'trtexec[=PROGRAM] or command=PROGRAM, each PROGRAM with its arguments',
  )
}
