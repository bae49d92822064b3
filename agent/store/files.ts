import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The code of a system error, such as `ENOENT`; undefined for anything else. */
export const errnoOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined

/** The text of a file, or null where there is none or this kernel will not let us read it. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (e) {
    const code = errnoOf(e)
    // Files of sysfs exist and yet answer with these when the hardware behind them is absent or asleep.
    const absent = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EINVAL', 'EIO', 'ENODEV', 'ENODATA', 'EAGAIN']
    if (code && absent.includes(code)) return null
    throw e
  }
}

/** Makes the entries of a folder (names, links) survive a power cut. */
export function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export function syncFile(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Removes a file, and makes that survive a power cut. */
export function removeFlushed(path: string): void {
  rmSync(path, { force: true })
  syncFolder(dirname(path))
}

/**
 * Replaces `path` whole: written aside, flushed, renamed, and the folder flushed, so that after a power cut it
 * holds the old bytes or the new ones and never a part. On failure (a full disk) the old file stays.
 */
export function writeAtomic(path: string, data: string | Uint8Array, mode = 0o644): void {
  const aside = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  try {
    const fd = openSync(aside, 'w', mode)
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(aside, path)
  } catch (e) {
    rmSync(aside, { force: true })
    throw e
  }
  syncFolder(dirname(path))
}
