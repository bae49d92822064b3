import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import type { Setup } from '@espalier/shared/measure/index.js'
import type { Manifest } from './store/artifacts.js'
import { errnoOf, readText, writeAtomic } from './store/files.js'

export interface HookOptions {
  /** The operator's program; it is run without a shell and without arguments. */
  readonly program: string
  readonly stateDir: string
  readonly log: (line: string) => void
  /** `null` once it has done well. */
  readonly onEnd: (failure: EspalierError | null) => void
  readonly timeoutMs?: number
}

interface Change {
  readonly manifest: Manifest
  readonly setup: Setup
}

/**
 * Runs a program of the operator's whenever `current` names another variant, with what it names in the environment:
 * ESPALIER_CURRENT (the folder), ESPALIER_MODEL, ESPALIER_VERSION, ESPALIER_VARIANT, ESPALIER_DIGEST, and how it runs
 * best here: ESPALIER_THREADS, ESPALIER_PROVIDER. One at a time, the newest last; it has a minute and should exit with 0. What it was last told is on disk, so a change that a power
 * cut hid from it is told after the next start.
 */
export class Hook {
  readonly #options: HookOptions
  readonly #path: string
  #next: Change | null = null
  #running: Promise<void> | null = null

  constructor(options: HookOptions) {
    this.#options = options
    this.#path = join(options.stateDir, 'hooked')
  }

  current(manifest: Manifest | null, setup: Setup = {}): void {
    this.#next = manifest && { manifest, setup }
    this.#running ??= this.#runAll().finally(() => {
      this.#running = null
    })
  }

  async #runAll(): Promise<void> {
    const { log, onEnd } = this.#options
    while (this.#next) {
      const { manifest, setup } = this.#next
      this.#next = null
      if (readText(this.#path) === manifest.digest) continue
      const problem = await this.#run(manifest, setup)
      if (problem) log(`HOOK_FAILED: ${problem}`)
      onEnd(problem === null ? null : new EspalierError('HOOK_FAILED', problem))
      try {
        if (problem === null) writeAtomic(this.#path, manifest.digest)
      } catch (e) {
        // A full disk: it is told once more after the next start.
        if (errnoOf(e) === undefined) throw e
      }
    }
  }

  /** Null if it ended with 0, or what went wrong. */
  #run({ model, version, variant, digest }: Manifest, setup: Setup): Promise<string | null> {
    const { program, stateDir, log, timeoutMs = 60_000 } = this.#options
    const environment = {
      ESPALIER_CURRENT: join(stateDir, 'current'),
      ESPALIER_MODEL: model,
      ESPALIER_VERSION: String(version),
      ESPALIER_VARIANT: variant,
      ESPALIER_DIGEST: digest,
      ESPALIER_THREADS: String(setup.threads ?? 1),
      ESPALIER_PROVIDER: setup.provider ?? 'cpu',
    }
    return new Promise((resolve) => {
      const child = spawn(program, [], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
      })
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => log(`hook: ${chunk.toString().trimEnd().slice(0, 1000)}`))
      child.once('error', (e) => resolve(`the hook ${program} cannot be run: ${e.message}`))
      child.once('exit', (status, by) =>
        resolve(
          status === 0
            ? null
            : by
              ? `the hook ${program} was ended by ${by}, after ${timeoutMs / 1000} s at the latest`
              : `the hook ${program} ended with ${status}`,
        ),
      )
    })
  }
}
