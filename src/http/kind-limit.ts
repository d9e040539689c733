/** How long refusals of one kind are left out after one was told, in milliseconds. */
const SPAN = 60_000
/** How many kinds are told within that time, and remembered. A stranger cannot make the log or the memory grow beyond. */
const MOST_KINDS = 100
/** A kind, and a text, is remembered by so many of its characters. */
const LONGEST = 1_000

/** How many different texts of one kind are told within that time, and how many are made to find out. */
const MOST_TEXTS = 5
const MOST_MADE = 50

interface Kind {
  toldAt: number
  leftOut: number
  made: number
  readonly texts: Set<string>
}

/** What was left out before a thing that is told. */
export interface Admission {
  readonly ofKind: number
  readonly ofOthers: number
  /** Whether no more of the kind is told within the minute, whatever it says. */
  readonly isLast: boolean
}

/** Admits each text of a kind once a minute, a few texts of each kind, and counts the others. */
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
   * `undefined`: it is left out. Numbers make no kind and no text of their own.
   *
   * @param textOf Makes the text that is compared with those of its kind. Not asked where the kind is told no more.
   */
  admit(name: string, textOf: () => string = () => ''): Admission | undefined {
    const now = this.#now()
    const key = plain(name)
    const known = this.#kinds.get(key)
    if (known === undefined && this.#kinds.size >= MOST_KINDS && !this.#makeRoom(now)) {
      this.#others += 1
      return undefined
    }
    const isRecent = known !== undefined && now - known.toldAt < SPAN
    const kind = isRecent
      ? known
      : { toldAt: now, leftOut: known?.leftOut ?? 0, made: 0, texts: new Set<string>() }
    this.#kinds.set(key, kind)
    if (kind.texts.size >= MOST_TEXTS || kind.made >= MOST_MADE || !isNew(kind, plain(textOf()))) {
      kind.leftOut += 1
      return undefined
    }
    const [ofKind, ofOthers] = [kind.leftOut, this.#others]
    kind.leftOut = this.#others = 0
    return { ofKind, ofOthers, isLast: kind.texts.size >= MOST_TEXTS }
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

function plain(text: string): string {
  return text.slice(0, LONGEST).replace(/\d+/g, '0')
}

function isNew(kind: Kind, text: string): boolean {
  kind.made += 1
  if (kind.texts.has(text)) return false
  kind.texts.add(text)
  return true
}
