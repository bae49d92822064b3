import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'

/** Output that is kept of a program; what it writes beyond is not looked at. */
const MAX_OUTPUT = 4 * 2 ** 20
const LOOK_MS = 10

/**
 * Runs a program to its end, or this process's. Its peak memory is looked at all the time that it lives: what it takes in its last moments
 * may be missed.
 * @throws MEASURING_FAILED if it cannot be started
 */
export function runWatched(
  program: string,
  args: readonly string[],
): Promise<{ readonly status: number | string; readonly output: string; readonly peakBytes: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let peakBytes = 0
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        if (output.length < MAX_OUTPUT) output += chunk
      })
    const end = () => child.kill('SIGKILL')
    process.on('exit', end)
    const timer = setInterval(() => {
      peakBytes = Math.max(peakBytes, peakOf(child.pid))
    }, LOOK_MS)
    const over = () => {
      clearInterval(timer)
      process.off('exit', end)
    }
    child.once('error', (cause) => {
      over()
      reject(new EspalierError('MEASURING_FAILED', `${program} cannot be run: ${cause.message}`, { cause }))
    })
    child.once('close', (status, by) => {
      over()
      resolve({ status: by ?? status ?? 'nothing', output, peakBytes })
    })
  })
}

/** VmHWM of a process, or 0 once it has ended. */
function peakOf(pid: number | undefined): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
