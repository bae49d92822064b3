import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EspalierError, formatBytes } from '@espalier/shared'
import type { Reported } from '@espalier/shared/messages/index.js'
import { Artifacts, type Manifest } from '../store/artifacts.js'
import { readText } from '../store/files.js'
import { lockHolder } from '../store/lock.js'
import { readReportLog } from '../store/report-log.js'
import { parse, UsageError } from './usage.js'

interface Found {
  /** The running agent's process, or null. */
  readonly pid: number | null
  readonly reported: Reported | null
  readonly active: Manifest | null
  readonly previous: Manifest | null
  /** Reports that the service has not stored yet, and reports given up for want of room. */
  readonly outbox: { readonly waiting: number; readonly dropped: number }
}

/** `espalier-agent status`: what the state directory tells, with or without a running agent. */
export function status(args: string[]): void {
  const { values } = parse({
    args,
    options: { state: { type: 'string' }, json: { type: 'boolean', default: false } },
  })
  if (!values.state) throw new UsageError('status needs --state DIR')
  const found = readStatus(values.state)
  process.stdout.write(values.json ? `${JSON.stringify(found)}\n` : lines(found))
}

function readStatus(stateDir: string): Found {
  if (!existsSync(join(stateDir, 'artifacts'))) {
    throw new EspalierError(
      'FILE_NOT_FOUND',
      `${stateDir} is no state directory of an agent; see espalier-agent run`,
    )
  }
  const artifacts = new Artifacts(stateDir)
  const manifest = (link: 'current' | 'previous') => {
    const digest = artifacts.linked(link)
    return digest === null ? null : artifacts.manifest(digest)
  }
  return {
    pid: lockHolder(join(stateDir, 'lock')),
    reported: readReported(join(stateDir, 'reported.json')),
    active: manifest('current'),
    previous: manifest('previous'),
    outbox: readOutbox(join(stateDir, 'outbox', 'reports.log')),
  }
}

function readOutbox(path: string): Found['outbox'] {
  if (!existsSync(path)) return { waiting: 0, dropped: 0 }
  const { waiting, dropped } = readReportLog(path)
  return { waiting: waiting.length, dropped }
}

function readReported(path: string): Reported | null {
  const text = readText(path)
  try {
    return text === null ? null : (JSON.parse(text) as Reported)
  } catch (e) {
    if (e instanceof SyntaxError) return null
    throw e
  }
}

function lines({ pid, reported, active, previous, outbox }: Found): string {
  const variant = (m: Manifest | null) =>
    m ? `${m.variant} of ${m.model} v${m.version}, ${formatBytes(m.bytes)}, ${m.digest.slice(0, 12)}` : 'none'
  const rows = [
    ['agent', pid === null ? 'not running' : `running (process ${pid})`],
    ['state', reported ? `${reported.state}, revision ${reported.revision}` : 'nothing said yet'],
    ['active', variant(active)],
    ['previous', variant(previous)],
    ['reports', `${outbox.waiting} waiting, ${outbox.dropped} dropped`],
    ['error', reported?.error ? `${reported.error.code}: ${reported.error.message}` : 'none'],
  ]
  return rows.map(([name, value]) => `${name.padEnd(10)}${value}\n`).join('')
}
