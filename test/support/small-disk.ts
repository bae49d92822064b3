import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs'
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

/** Takes all the room there is on a disk, into one file. */
export function fillUp(path: string): void {
  for (const size of [2 ** 20, 2 ** 16, 2 ** 12]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // no room for one more of this size
    }
  }
}
