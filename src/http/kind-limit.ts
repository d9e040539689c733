/** How long refusals of one kind are left out after one was told, in milliseconds. */
const SPAN = 60_000
/** How many kinds are told within that time, and remembered. A stranger cannot make the log or the memory grow beyond. */
const MOST_KINDS = 100
/** A kind is remembered by so many of its characters. */
const LONGEST = 300

interface Kind {
  toldAt: number
  leftOut: number
}

/** Admits one thing of each kind a minute, and counts the others. */
export class KindLimit {
  readonly #kinds = new Map<string, Kind>()
  readonly #now: () => number
  /** How many were left out of kinds that are not remembered. */
  #others = 0

  /** @param now A clock in milliseconds that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** How many are remembered. */
  get size(): number {
    return this.#kinds.size
  }

  /**
   * Whether this one is told: how many of its kind, and of kinds that are not remembered, were left out before it.
   * `undefined`: it is left out. Numbers in the text make no kind of their own.
   */
  admit(text: string): { readonly ofKind: number; readonly ofOthers: number } | undefined {
    const name = text.slice(0, LONGEST).replace(/\d+/g, '0')
    const now = this.#now()
    const kind = this.#kinds.get(name)
    if (kind !== undefined && now - kind.toldAt < SPAN) {
      kind.leftOut += 1
      return undefined
    }
    if (kind === undefined && this.#kinds.size >= MOST_KINDS && !this.#makeRoom(now)) {
      this.#others += 1
      return undefined
    }
    const ofOthers = this.#others
    this.#others = 0
    this.#kinds.set(name, { toldAt: now, leftOut: 0 })
    return { ofKind: kind?.leftOut ?? 0, ofOthers }
  }

  #makeRoom(now: number): boolean {
    for (const [name, { toldAt, leftOut }] of this.#kinds) {
      if (now - toldAt < SPAN) continue
      this.#others += leftOut
      this.#kinds.delete(name)
    }
    return this.#kinds.size < MOST_KINDS
  }
}
