/** How long further refusals with the same text are not logged, in milliseconds. */
const SPAN = 60_000
/** The most kinds that are logged and remembered within that time. This bounds the log and the memory, whatever callers send. */
const MOST_KINDS = 100
/** The length to which kinds and texts are cut before they are compared. */
const LONGEST = 1_000

/** The most different texts of one kind that are logged within that time, and the most that are built for comparison. */
const MOST_TEXTS = 5
const MOST_MADE = 50

interface Kind {
  toldAt: number
  leftOut: number
  made: number
  readonly texts: Set<string>
}

/** What was not logged before this refusal. */
export interface Admission {
  readonly ofKind: number
  readonly ofOthers: number
  /** Whether no further text of this kind is logged within the minute. */
  readonly isLast: boolean
}

/** Admits each text of a kind once a minute, a few texts of each kind, and counts the others. */
export class KindLimit {
  readonly #kinds = new Map<string, Kind>()
  readonly #now: () => number
  /** The number of refusals that were not logged, of kinds that are not remembered. */
  #others = 0

  /** @param now a monotonic clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The number of remembered kinds. */
  get size(): number {
    return this.#kinds.size
  }

  /**
   * Decides whether a refusal is logged. Returns how many of its kind, and of kinds that are not remembered, were not logged
   * before it; `undefined` if it is not logged itself. Kinds and texts that differ only in numbers are equal.
   *
   * @param textOf builds the text that is compared with others of its kind; not called if the kind has reached its limit
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
