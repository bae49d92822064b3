/** Why something is left whole: for people, with the operator that asks for it. */
export interface Reason {
  readonly text: string
  /** Name and operator of the node; empty for the graph's own inputs and outputs. */
  readonly node: string
  readonly op: string
}

interface Composite {
  readonly id: number
  readonly parts: readonly number[]
}

/**
 * Atoms: what each index of each dimension belongs to. Atoms that were joined form a class. A composite stands
 * for the OR of its parts: it goes when any of them goes. A frozen class never goes; it keeps the first reason.
 */
export class Atoms {
  readonly #parent: number[] = []
  readonly #reasons = new Map<number, Reason>()
  readonly #composites: Composite[] = []
  readonly #made = new Map<string, number>()
  readonly #fixed = new Map<string, number>()
  /** Parts of each composite class, primitive and not frozen; valid once closed. */
  #parts = new Map<number, readonly number[]>()
  #changed = false

  fresh(): number {
    this.#parent.push(this.#parent.length)
    return this.#parent.length - 1
  }

  find(atom: number): number {
    let root = atom
    while (this.#parent[root] !== root) root = this.#parent[root]
    for (let a = atom; a !== root; ) [a, this.#parent[a]] = [this.#parent[a], root]
    return root
  }

  /** Joins two classes. One that is frozen freezes the other, and each keeps its own reason. */
  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)]
    if (x === y) return
    const [rx, ry] = [this.#reasons.get(x), this.#reasons.get(y)]
    if (rx || ry) {
      if (!rx && ry) this.#freezeRoot(x, ry)
      if (!ry && rx) this.#freezeRoot(y, rx)
      return
    }
    this.#parent[y] = x
    this.#changed = true
  }

  freeze(atom: number, reason: Reason): void {
    const root = this.find(atom)
    if (!this.#reasons.has(root)) this.#freezeRoot(root, reason)
  }

  #freezeRoot(root: number, reason: Reason): void {
    this.#reasons.set(root, reason)
    this.#changed = true
  }

  reason(atom: number): Reason | undefined {
    return this.#reasons.get(this.find(atom))
  }

  /** The atom that is frozen for this reason; always the same one. */
  fixed(reason: Reason): number {
    const key = `${reason.text}\n${reason.node}`
    const known = this.#fixed.get(key)
    if (known !== undefined) return known
    const atom = this.fresh()
    this.freeze(atom, reason)
    this.#fixed.set(key, atom)
    return atom
  }

  /** The atom that stands for the OR of `parts`; the same parts give the same atom again. */
  or(parts: readonly number[]): number {
    const roots = [...new Set(parts.map((p) => this.find(p)))]
    if (roots.length === 1) return roots[0]
    const key = keyOf(roots)
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const id = this.fresh()
    this.#composites.push({ id, parts: roots })
    this.#made.set(key, id)
    return id
  }

  /**
   * Draws all conclusions: composites that mean the same are joined, a composite with one part left is that part,
   * frozen ones freeze their parts, and an atom whose going would empty one of `dimensions` is frozen.
   */
  close(dimensions: readonly Int32Array[]): void {
    do {
      do {
        this.#changed = false
        this.#conclude()
      } while (this.#changed)
      for (const atoms of dimensions) this.#keepNonEmpty(atoms)
    } while (this.#changed)
  }

  /** What the index stands or falls with: no atoms if it is frozen, one, or the parts of a composite. */
  primitives(atom: number): readonly number[] {
    const root = this.find(atom)
    if (this.#reasons.has(root)) return []
    return this.#parts.get(root) ?? [root]
  }

  #conclude(): void {
    const parts = new Map<number, readonly number[]>()
    const same = new Map<string, number>()
    for (const { id, parts: given } of this.#composites) {
      const root = this.find(id)
      const reason = this.#reasons.get(root)
      if (reason) {
        for (const p of given) this.freeze(p, reason)
        continue
      }
      const { open, containsItself } = this.#expand(given, new Set([root]))
      if (containsItself) {
        // r = r ∨ x says that r goes with x: sound, if coarse, is to let them be one.
        for (const p of open) this.join(p, root)
      } else if (open.length === 0) {
        const why = given.map((p) => this.reason(p)).find((r) => r !== undefined)
        this.freeze(root, why ?? { text: 'all that it consists of is left whole', node: '', op: '' })
      } else if (open.length === 1) this.join(open[0], root)
      else {
        const before = parts.get(root)
        if (before) this.#agree(before, open)
        else parts.set(root, open)
        const key = keyOf(open)
        const twin = same.get(key)
        if (twin === undefined) same.set(key, root)
        else this.join(twin, root)
      }
    }
    // A part may have turned out to be a composite itself, after what it is part of was expanded.
    for (const list of parts.values()) if (list.some((p) => parts.has(p))) this.#changed = true
    this.#parts = parts
  }

  /** Parts down to primitives, without those that are frozen. */
  #expand(
    given: readonly number[],
    within: ReadonlySet<number>,
  ): { open: number[]; containsItself: boolean } {
    const open = new Set<number>()
    let containsItself = false
    for (const p of given) {
      const root = this.find(p)
      if (within.has(root)) containsItself = true
      else if (!this.#reasons.has(root)) {
        const inner = this.#parts.get(root)
        const nested = inner && this.#expand(inner, new Set([...within, root]))
        for (const e of nested?.open ?? [root]) open.add(e)
        if (nested?.containsItself) containsItself = true
      }
    }
    return { open: [...open], containsItself }
  }

  /** Makes two ORs equal: what they do not share is joined in pairs, or frozen where it does not pair up. */
  #agree(a: readonly number[], b: readonly number[]): void {
    const left = a.filter((p) => !b.includes(p))
    const right = b.filter((p) => !a.includes(p))
    if (left.length === 0 && right.length === 0) return
    if (left.length === right.length) {
      left.forEach((p, i) => {
        this.join(p, right[i])
      })
      return
    }
    if (left.length === 1 || right.length === 1) {
      const [one, many] = left.length === 1 ? [left[0], right] : [right[0], left]
      this.join(one, this.or(many))
      return
    }
    const reason = { text: 'it is split in two ways that do not agree', node: '', op: 'Reshape' }
    for (const p of [...left, ...right]) this.freeze(p, reason)
  }

  #keepNonEmpty(atoms: Int32Array): void {
    const counts = new Map<number, number>()
    for (const atom of atoms) for (const p of this.primitives(atom)) counts.set(p, (counts.get(p) ?? 0) + 1)
    for (const [p, n] of counts) {
      if (n === atoms.length)
        this.freeze(p, { text: 'removing it would leave a dimension empty', node: '', op: '' })
    }
  }
}

const keyOf = (roots: readonly number[]): string => [...roots].sort((x, y) => x - y).join(',')
