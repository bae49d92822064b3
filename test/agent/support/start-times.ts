import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { agentNode } from './process.js'

const startTime = (stat: string) => stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]

/**
 * Why an agent cannot be told here that another one lives, by which a lock is held; false where it can. Under qemu-user a
 * process reads a start time of itself that is some hundredths of a second later than the one that others read.
 */
export async function locksCannotHold(): Promise<string | false> {
  const script = `console.log(require('fs').readFileSync('/proc/' + process.pid + '/stat', 'utf8')); process.stdin.resume()`
  const child = spawn(agentNode, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [own] = await once(child.stdout, 'data')
  const seen = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  child.kill()
  return startTime(String(own)) === startTime(seen)
    ? false
    : 'an emulated process sees another start time of itself than others do'
}
