import { EspalierError } from '@espalier/shared'

export type Source =
  | { readonly kind: 'idx'; readonly images: string; readonly labels: string }
  | { readonly kind: 'npz'; readonly file: string }
  | { readonly kind: 'images'; readonly folder: string }

/** A data spec taken apart: `KIND:PATHS#skip=N#first=N`. */
export interface DataSpec {
  readonly text: string
  readonly source: Source
  readonly skip: number
  /** Infinity where the spec sets no limit. */
  readonly first: number
}

/** @throws DATA_SPEC_INVALID */
export function parseSpec(text: string): DataSpec {
  const [body, ...ranges] = text.split('#')
  const range = { skip: 0, first: Number.POSITIVE_INFINITY }
  for (const part of ranges.flatMap((r) => r.split(/[&,]/))) {
    const match = /^(first|skip)=(\d+)$/.exec(part)
    const value = Number(match?.[2])
    if (!match || !Number.isSafeInteger(value) || (match[1] === 'first' && value === 0))
      throw invalid(text, `'#${part}' is neither #first=N nor #skip=N`)
    range[match[1] as 'first' | 'skip'] = value
  }
  const [, kind, paths] = /^([a-z]+):(.+)$/s.exec(body) ?? []
  return { text, source: sourceOf(text, kind, paths), ...range }
}

function sourceOf(text: string, kind: string | undefined, paths: string): Source {
  if (kind === 'npz') return { kind, file: paths }
  if (kind === 'images') return { kind, folder: paths }
  if (kind !== 'idx') throw invalid(text, 'it starts with none of idx:, npz:, images:')
  const [images, labels, ...more] = paths.split(',')
  if (images && labels && more.length === 0) return { kind, images, labels }
  throw invalid(text, 'idx: takes two files, with a comma between them')
}

const invalid = (text: string, why: string) =>
  new EspalierError(
    'DATA_SPEC_INVALID',
    `'${text}' does not say where data are: ${why}; write idx:IMAGES,LABELS or npz:FILE or images:FOLDER, and #first=N or #skip=N after it`,
  )
