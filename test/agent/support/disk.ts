import { createHash } from 'node:crypto'
import fs, { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** A file, a folder or a link, as a running system sees it and as a power cut would leave it. */
type Inode =
  | { readonly kind: 'file'; now: Buffer; flushed: Buffer }
  | { readonly kind: 'folder'; now: Map<string, Inode>; flushed: Map<string, Inode> }
  | { readonly kind: 'link'; readonly target: string }
type Folder = Extract<Inode, { kind: 'folder' }>
type File = Extract<Inode, { kind: 'file' }>

/** What a power cut may leave: paths below the root, with a file's bytes, a link's target, or null for a folder. */
export type Remains = ReadonlyMap<string, Buffer | string | null>

export interface Cut {
  /** Number of writing calls that were done before. */
  readonly after: number
  /** The last of them, for people. */
  readonly call: string
  readonly remains: Remains
}

const folder = (): Folder => ({ kind: 'folder', now: new Map(), flushed: new Map() })

/**
 * A disk that forgets what was not flushed. It watches every writing call of `node:fs` below `root` in this process,
 * which does what it always does, and keeps beside it what POSIX promises of a power cut at that moment: the bytes of a
 * file as of its last fsync, the names in a folder as of the folder's. A real disk is often kinder, so each cut
 * is kept in four forms: nothing beyond the promise; names without the bytes (as a journal of metadata leaves them); all of
 * it; and a draw, inode by inode. Equal remains are kept once.
 */
export class ForgetfulDisk {
  readonly cuts: Cut[] = []
  readonly #root: string
  readonly #top = folder()
  readonly #open = new Map<number, Inode>()
  readonly #seen = new Set<string>()
  readonly #originals = new Map<string, unknown>()
  #calls = 0
  #draw = 1

  constructor(root: string) {
    this.#root = resolve(root)
    this.#watch('openSync', (args, fd) => this.#opened(Number(fd), String(args[0]), String(args[1])))
    this.#watch('closeSync', ([fd]) => this.#open.delete(Number(fd)))
    this.#watch('writeSync', (args, written) => this.#wrote(args, Number(written)))
    this.#watch('ftruncateSync', ([fd, size]) => this.#resized(Number(fd), Number(size)))
    this.#watch('fsyncSync', ([fd]) => this.#flushed(Number(fd)))
    this.#watch('writeFileSync', ([path, text]) => this.#fileAt(String(path), Buffer.from(String(text))))
    this.#watch('mkdirSync', ([path]) => this.#folderAt(String(path)))
    this.#watch('renameSync', ([from, to]) => this.#moved(String(from), String(to)))
    this.#watch('rmSync', ([path]) => this.#edit(String(path), (at, name) => at.now.delete(name)))
    this.#watch('linkSync', ([from, to]) => {
      const inode = this.#find(String(from))
      if (inode) this.#edit(String(to), (at, name) => at.now.set(name, inode))
    })
    this.#watch('symlinkSync', ([target, path]) =>
      this.#edit(String(path), (at, name) => at.now.set(name, { kind: 'link', target: String(target) })),
    )
    syncBuiltinESMExports()
  }

  /** Stops watching. */
  end(): void {
    for (const [name, original] of this.#originals) Object.assign(fs, { [name]: original })
    syncBuiltinESMExports()
  }

  /** Lets `note` see the calls of a function of `node:fs` that returned, and what they returned. */
  #watch(name: keyof typeof fs, note: (args: readonly unknown[], result: unknown) => unknown): void {
    const original = fs[name] as (...args: unknown[]) => unknown
    this.#originals.set(name, original)
    const watched = (...args: unknown[]) => {
      const result = original(...args)
      const before = this.#calls
      note(args, result)
      if (this.#calls > before)
        this.#cut(`${name} ${typeof args[0] === 'string' ? relative(this.#root, args[0]) : ''}`)
      return result
    }
    Object.assign(fs, { [name]: watched })
  }

  #inside(path: string): string[] | null {
    const rest = relative(this.#root, resolve(path))
    return rest.startsWith('..') ? null : rest.split(sep).filter((part) => part !== '')
  }

  #find(path: string): Inode | undefined {
    let at: Inode | undefined = this.#top
    for (const part of this.#inside(path) ?? ['..']) at = at?.kind === 'folder' ? at.now.get(part) : undefined
    return at
  }

  #edit(path: string, change: (parent: Folder, name: string) => void): void {
    const parent = this.#inside(path) && this.#find(dirname(path))
    if (parent?.kind !== 'folder') return
    change(parent, basename(path))
    this.#calls++
  }

  #opened(fd: number, path: string, flags: string): void {
    if (!this.#inside(path)) return
    if (flags.startsWith('w')) this.#fileAt(path, Buffer.alloc(0))
    const inode = this.#find(path)
    if (inode) this.#open.set(fd, inode)
  }

  #fileAt(path: string, bytes: Buffer): void {
    this.#edit(path, (at, name) => {
      const old = at.now.get(name)
      if (old?.kind === 'file') old.now = bytes
      else at.now.set(name, { kind: 'file', now: bytes, flushed: Buffer.alloc(0) })
    })
  }

  #folderAt(path: string): void {
    if (!this.#inside(path) || this.#find(path)) return
    this.#folderAt(dirname(path))
    this.#edit(path, (at, name) => at.now.set(name, folder()))
  }

  #moved(from: string, to: string): void {
    const inode = this.#find(from)
    if (!inode) return
    this.#edit(from, (at, name) => at.now.delete(name))
    this.#calls-- // one call, though it edits two folders
    this.#edit(to, (at, name) => at.now.set(name, inode))
  }

  #file(fd: number): File | null {
    const inode = this.#open.get(fd)
    return inode?.kind === 'file' ? inode : null
  }

  #wrote([fd, bytes, offset = 0, , position]: readonly unknown[], written: number): void {
    const file = this.#file(Number(fd))
    if (!file || !(bytes instanceof Uint8Array)) return
    const start = typeof position === 'number' ? position : file.now.length
    const now = Buffer.alloc(Math.max(file.now.length, start + written))
    file.now.copy(now)
    now.set(bytes.subarray(Number(offset), Number(offset) + written), start)
    file.now = now
    this.#calls++
  }

  #resized(fd: number, size: number): void {
    const file = this.#file(fd)
    if (!file) return
    const now = Buffer.alloc(size)
    file.now.copy(now)
    file.now = now
    this.#calls++
  }

  #flushed(fd: number): void {
    const inode = this.#open.get(fd)
    if (!inode || inode.kind === 'link') return
    if (inode.kind === 'file') inode.flushed = inode.now
    else inode.flushed = new Map(inode.now)
    this.#calls++
  }

  #cut(call: string): void {
    const flips = () => {
      this.#draw = (Math.imul(this.#draw, 1664525) + 1013904223) >>> 0
      return this.#draw >>> 31 === 1
    }
    const kinds: [names: () => boolean, bytes: () => boolean][] = [
      [() => false, () => false],
      [() => true, () => false],
      [() => true, () => true],
      [flips, flips],
    ]
    for (const [names, bytes] of kinds) {
      const remains = new Map<string, Buffer | string | null>()
      collect(this.#top, '', names, bytes, remains)
      const hash = createHash('sha256')
      for (const [path, content] of remains) hash.update(`${path}\0`).update(content ?? '/')
      const key = hash.digest('hex')
      if (this.#seen.has(key)) continue
      this.#seen.add(key)
      this.cuts.push({ after: this.#calls, call, remains })
    }
  }
}

function collect(
  at: Folder,
  path: string,
  names: () => boolean,
  bytes: () => boolean,
  into: Map<string, Buffer | string | null>,
): void {
  for (const [name, inode] of names() ? at.now : at.flushed) {
    const below = join(path, name)
    if (inode.kind === 'file') into.set(below, bytes() ? inode.now : inode.flushed)
    else if (inode.kind === 'link') into.set(below, inode.target)
    else {
      into.set(below, null)
      collect(inode, below, names, bytes, into)
    }
  }
}

/** Writes what remained of a disk into an empty folder. */
export function restore(remains: Remains, root: string): void {
  for (const [path, content] of remains) {
    if (content === null) mkdirSync(join(root, path))
    else if (typeof content === 'string') symlinkSync(content, join(root, path))
    else writeFileSync(join(root, path), content)
  }
}
