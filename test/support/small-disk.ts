import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A mounted tmpfs of `size` (as mount takes it), gone when the test ends; undefined where mounting is not allowed. */
export function smallDisk(t: Pick<Test, 'teardown'>, size: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-small-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]).status === 0
  t.teardown(() => {
    if (mounted) spawnSync('umount', ['-l', folder])
    rmdirSync(folder)
  })
  return mounted ? folder : undefined
}
