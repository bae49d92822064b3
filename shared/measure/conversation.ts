import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { EspalierError, errorCodes } from '../errors.js'
import { lines } from './lines.js'
import type { Asked, Reply } from './protocol.js'

/** A program and its arguments. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

const GRACE_MS = 2000
/** What is kept of a process's standard error, for the message of its failure. */
const MAX_COMPLAINT = 2000

interface Waiting {
  readonly id: number
  readonly resolve: (ok: unknown) => void
  readonly reject: (error: unknown) => void
}

/** A child process that answers requests of protocol.ts, one at a time. An error of any kind ends it. */
export class Conversation {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  #complaint = ''
  #ended: string | null = null
  #waiting: Waiting | null = null
  #nextId = 1

  /** @param child a script for this Node.js, or another program; `env` is added to this process's own */
  constructor(child: URL | Command, env: Readonly<Record<string, string>>) {
    const { file, args } =
      child instanceof URL ? { file: process.execPath, args: [fileURLToPath(child)] } : child
    this.#child = spawn(file, args, { stdio: 'pipe', env: { ...process.env, ...env } })
    this.#child.stdin.on('error', () => {}) // it has ended; 'exit' says how
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#complaint = `${this.#complaint}${chunk}`.slice(-MAX_COMPLAINT)
    })
    lines(
      this.#child.stdout,
      (line) => this.#take(line),
      () => this.#fail('said too much in one line'),
    )
    this.#child.once('error', (error) => this.#fail(`could not be started: ${error.message}`))
    this.#child.once('close', (status, by) => this.#fail(`ended (${by ?? `status ${status}`})${this.#why()}`))
  }

  /**
   * The answer to a request, unchecked.
   * @throws what the process says, MEASURING_FAILED where it ends or does not answer within `timeoutMs`, or the signal's reason
   */
  async ask(request: Asked, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    if (this.#ended !== null) throw new EspalierError('MEASURING_FAILED', this.#ended)
    const id = this.#nextId++
    const onAbort = () => this.#waiting?.reject(signal?.reason)
    const timer = setTimeout(() => this.#fail(`did not answer within ${timeoutMs / 1000} s`), timeoutMs)
    signal?.addEventListener('abort', onAbort)
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting = { id, resolve, reject }
        this.#child.stdin.write(`${JSON.stringify({ id, ...request })}\n`)
      })
    } catch (e) {
      this.close()
      throw e
    } finally {
      this.#waiting = null
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends the process; one that stands for another program has a moment to end that as well. */
  close(): void {
    this.#child.kill('SIGTERM')
    setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS).unref()
  }

  #fail(why: string): void {
    this.#ended ??= `the measuring process ${why}`
    this.#waiting?.reject(new EspalierError('MEASURING_FAILED', this.#ended))
  }

  /** A line that is no answer to what was asked may be a library's: it counts for nothing. */
  #take(line: string): void {
    const waiting = this.#waiting
    const reply = parsed(line)
    if (!waiting || reply?.id !== waiting.id) return
    if ('error' in reply) waiting.reject(errorOf(reply.error))
    else waiting.resolve(reply.ok)
  }

  /** Its last words: Node.js and Python end theirs with a line that names the error, and some more after that. */
  #why(): string {
    const said = this.#complaint.trim().split('\n')
    const last = said.findLast((line) => /error|exception/i.test(line)) ?? said.at(-1)
    return last ? `: ${last.trim()}` : '; the model may have crashed the runtime or exhausted memory'
  }
}

/** What a process says went wrong; whatever it is that it says. */
function errorOf(said: unknown): EspalierError {
  const { code, message } = Object(said)
  return new EspalierError(errorCodes.find((c) => c === code) ?? 'MEASURING_FAILED', String(message))
}

function parsed(line: string): Reply | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' ? (value as Reply | null) : null
  } catch {
    return null
  }
}
