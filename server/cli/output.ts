import { formatBytes } from '@espalier/shared/bytes.js'
import { asEspalierError, type ErrorCode } from '@espalier/shared/errors.js'
import { shortened } from '../compiler/graph/index.js'
import type { Resource } from '../compiler/limits.js'

type Cell = string | number | null | undefined
export type Column<Row> = readonly [title: string, value: (row: Row) => Cell]

/** Where a command writes: its result on standard output, everything else on standard error. */
export class Output {
  constructor(
    readonly json: boolean,
    readonly stdout: NodeJS.WriteStream = process.stdout,
    readonly stderr: NodeJS.WriteStream = process.stderr,
    /** No progress and no notes. */
    readonly quiet = false,
  ) {}

  /** The command's one result: `value` as one JSON object with --json, otherwise what `human` returns. */
  result(value: object, human: () => string): void {
    this.stdout.write(`${this.json ? JSON.stringify(value) : human()}\n`)
  }

  log(line: string): void {
    if (!this.quiet) this.stderr.write(`${line}\n`)
  }

  /** A progress bar on a terminal; elsewhere one line whenever `label` changes. Call `done()` at the end. */
  progress(): Progress {
    return new Progress(this.stderr, this.quiet)
  }
}

export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #quiet: boolean
  #label = ''
  #drawnAt = 0
  /** Lines above that of the bar. */
  #above = 0

  constructor(stream: NodeJS.WriteStream, quiet = false) {
    this.#stream = stream
    this.#quiet = quiet
  }

  /** Whether it is drawn on a terminal; elsewhere labels should change rarely. */
  get live(): boolean {
    return this.#stream.isTTY && !this.#quiet
  }

  /** Characters of a line. */
  get columns(): number {
    return Math.max(20, this.#stream.columns ?? 80) - 1
  }

  /**
   * `done` of `total` steps; a total of 0 draws no bar. Redraws at most twenty times a second.
   * @param above lines to draw above the bar on a terminal, where it is high enough
   */
  update(label: string, done = 0, total = 0, above: () => readonly string[] = () => []): void {
    if (this.#quiet) return
    const changed = label !== this.#label
    this.#label = label
    if (!this.#stream.isTTY) {
      if (changed) this.#stream.write(`${label}\n`)
      return
    }
    const now = Date.now()
    if (now - this.#drawnAt < 50 && (!changed || this.#above > 0) && done < total) return
    this.#drawnAt = now
    const lines = above()
    const shown = lines.length < (this.#stream.rows ?? 24) ? lines : []
    const line = total > 0 ? `${bar(done / total)} ${label} ${done}/${total}` : label
    const all = [...shown, line].map((l) => l.slice(0, this.columns))
    this.#stream.write(`${this.#back()}${all.join('\n')}`)
    this.#above = shown.length
  }

  done(): void {
    if (this.live && this.#label) this.#stream.write(this.#back())
    this.#label = ''
    this.#above = 0
  }

  /** Takes away what was drawn. */
  #back(): string {
    return `\r${this.#above > 0 ? `\x1b[${this.#above}A` : ''}\x1b[J`
  }
}

function bar(share: number, width = 24): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`
}

/** Rows under titles, columns aligned: numbers to the right, text to the left; nothing known is a dash. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = rows.map((row) => columns.map(([, value]) => value(row) ?? '–'))
  const right = columns.map(
    (_, i) => cells.some((c) => isNumeric(c[i])) && cells.every((c) => isNumeric(c[i]) || c[i] === '–'),
  )
  const lines = [columns.map(([title]) => title), ...cells].map((line) =>
    line.map((c) => harmless(String(c))),
  )
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const isNumeric = (cell: Cell) => typeof cell === 'number' || /^-?\d/.test(String(cell))

/** Names and values, one a line, aligned. */
export function facts(entries: Readonly<Record<string, Cell>>): string {
  const width = Math.max(...Object.keys(entries).map((k) => k.length))
  return Object.entries(entries)
    .map(([key, value]) => `${key.padEnd(width)}  ${harmless(String(value ?? '–'))}`)
    .join('\n')
}

/** Formats for tables; null and undefined stay unknown. */
export const show = {
  bytes: (v: number | null | undefined) => (v == null ? null : formatBytes(v)),
  ms: (v: number | null | undefined) => (v == null ? null : `${v < 10 ? v.toFixed(2) : v.toFixed(1)} ms`),
  percent: (v: number | null | undefined) => (v == null ? null : `${(v * 100).toFixed(2)} %`),
  time: (v: number | null | undefined) =>
    v == null ? null : new Date(v).toISOString().replace('T', ' ').slice(0, 19),
}

/** The first names of a list, and how many there are besides. */
export function atMost(names: readonly string[], n: number): string {
  const first = names.slice(0, n).map((name) => shortened(name, 40))
  return names.length > n ? `${first.join(', ')} and ${names.length - n} more` : first.join(', ')
}

/** Text from a file for a terminal: its control characters would move the cursor, or worse. */
export const harmless = (text: string) => text.replace(/\p{Cc}+/gu, ' ')
/** What a limit was on, in a sentence. */
export const boundNames: Readonly<Record<Resource, string>> = {
  memory: 'memory',
  artifact: 'artifact bytes',
  macs: 'MACs',
  params: 'parameters',
  latency: 'latency',
}

/** Codes that say the command line itself was wrong: exit status 2, not 1. */
const usage = new Set<ErrorCode>(['OPTION_INVALID', 'SIZE_INVALID'])

/** Prints a failure's one-line cause. @returns the exit status: 2 for wrong usage, otherwise 1. */
export function fail(thrown: unknown, out: Output): number {
  const { code, message } = asEspalierError(thrown)
  out.stderr.write(`espalier: ${harmless(message)} (${code})\n`)
  if (out.json) out.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
  return usage.has(code) ? 2 : 1
}
