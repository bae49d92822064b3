import { createHash } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import { errnoOf, readText, removeFlushed, syncFolder, writeAtomic } from './files.js'
import { discardPartial } from './partial.js'

/** What applications read beside the model. `digest` is the SHA-256 of `model.onnx`, `variant` its name. */
export interface Manifest
  extends Pick<CatalogueVariant, 'digest' | 'bytes' | 'inputs' | 'outputs' | 'preprocess' | 'labels'> {
  readonly model: string
  readonly version: number
  readonly variant: string
}

/** `current` is what applications open; `previous` is what it was before. */
type Link = 'current' | 'previous'

/**
 * The variants on this disk: `artifacts/DIGEST/{model.onnx,manifest.json}`, and the links `current` and
 * `previous` to two of them. Each change is one rename, flushed, so a power cut leaves the old or the new.
 */
export class Artifacts {
  readonly #folder: string

  constructor(readonly root: string) {
    this.#folder = join(root, 'artifacts')
  }

  /** Makes the folder, and clears away what a kill left half installed. For the one agent that owns it. */
  prepare(): void {
    mkdirSync(this.#folder, { recursive: true })
    for (const name of readdirSync(this.#folder)) {
      if (name.startsWith('.')) rmSync(join(this.#folder, name), { recursive: true, force: true })
    }
  }

  /** Where a download of `digest` grows. */
  partialPath(digest: string): string {
    return join(this.#folder, `${digest}.part`)
  }

  folderOf(digest: string): string {
    return join(this.#folder, digest)
  }

  modelPath(digest: string): string {
    return join(this.folderOf(digest), 'model.onnx')
  }

  has(digest: string): boolean {
    return this.manifest(digest) !== null
  }

  /** The manifest of an installed variant; null if it is not here, or unreadable. */
  manifest(digest: string): Manifest | null {
    const text = readText(join(this.#folder, digest, 'manifest.json'))
    if (text === null) return null
    try {
      return JSON.parse(text) as Manifest
    } catch (e) {
      if (e instanceof SyntaxError) return null
      throw e
    }
  }

  /** Turns the finished download of `manifest.digest` into an installed variant. */
  install(manifest: Manifest): void {
    const { digest } = manifest
    const made = join(this.#folder, `.${digest}`)
    rmSync(made, { recursive: true, force: true })
    mkdirSync(made)
    writeAtomic(join(made, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    renameSync(this.partialPath(digest), join(made, 'model.onnx'))
    syncFolder(made)
    rmSync(join(this.#folder, digest), { recursive: true, force: true })
    renameSync(made, join(this.#folder, digest))
    syncFolder(this.#folder)
  }

  /** The digest that a link names; null where there is none. */
  linked(link: Link): string | null {
    try {
      return basename(readlinkSync(join(this.root, link)))
    } catch (e) {
      if (errnoOf(e) === 'ENOENT' || errnoOf(e) === 'EINVAL') return null
      throw e
    }
  }

  /** Swaps `current` to an installed variant; what it was becomes `previous`. */
  activate(digest: string): void {
    const before = this.linked('current')
    if (before === digest) return
    if (before !== null && this.has(before)) this.#link('previous', before)
    this.#link('current', digest)
  }

  /** Gives up a damaged active variant for `previous`, if there is one. The new active digest, or null. */
  fallBack(): string | null {
    const previous = this.linked('previous')
    if (previous !== null && this.has(previous)) this.#link('current', previous)
    else removeFlushed(join(this.root, 'current'))
    removeFlushed(join(this.root, 'previous'))
    return this.linked('current')
  }

  /** Removes an installed variant, and `previous` if it is that. Never the active one. */
  remove(digest: string): void {
    if (this.linked('current') === digest) return
    if (this.linked('previous') === digest) removeFlushed(join(this.root, 'previous'))
    rmSync(join(this.#folder, digest), { recursive: true, force: true })
    syncFolder(this.#folder)
  }

  /** Removes all that is neither active, previous, nor in `keep`; the digests that went. */
  evict(keep: readonly string[] = []): string[] {
    const kept = new Set([this.linked('current'), this.linked('previous'), ...keep])
    const gone: string[] = []
    for (const name of readdirSync(this.#folder)) {
      const digest = name.split('.')[0]
      if (kept.has(digest)) continue
      if (name.endsWith('.part')) discardPartial(join(this.#folder, name))
      else rmSync(join(this.#folder, name), { recursive: true, force: true })
      gone.push(digest)
    }
    if (gone.length > 0) syncFolder(this.#folder)
    return [...new Set(gone)]
  }

  /** Hashes an installed variant again: whether it is what its digest says. */
  async isWhole(digest: string): Promise<boolean> {
    return this.manifest(digest)?.digest === digest && (await hashFile(this.modelPath(digest))) === digest
  }

  #link(link: Link, digest: string): void {
    const aside = join(this.root, `.${link}.new`)
    rmSync(aside, { force: true })
    symlinkSync(join('artifacts', digest), aside)
    renameSync(aside, join(this.root, link))
    syncFolder(this.root)
  }
}

/** SHA-256 (hex) of a file, read through one buffer; null if it is not there. */
export async function hashFile(path: string): Promise<string | null> {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (e) {
    if (errnoOf(e) === 'ENOENT' || errnoOf(e) === 'ENOTDIR') return null
    throw e
  }
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.allocUnsafeSlow(256 * 1024)
    for (;;) {
      const read = readSync(fd, buffer, 0, buffer.length, null)
      if (read === 0) return hash.digest('hex')
      hash.update(buffer.subarray(0, read))
      await setImmediate()
    }
  } finally {
    closeSync(fd)
  }
}
