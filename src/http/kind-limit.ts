import { createHash } from 'node:crypto'

/** How long further refusals with the same text are not logged, in milliseconds. */
const SPAN = 60_000
/** The most kinds that are logged and remembered within that time. This bounds the log and the memory, whatever callers send. */
const MOST_KINDS = 100
/** The most different texts of one kind that are logged within that time, and the most that are built for comparison. */
const MOST_TEXTS = 20
const MOST_MADE = 50

interface Kind {
  toldAt: number
  leftOut: number
  made: number
  /** Digests: a text may be long. */
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
   * before it; `undefined` if it is not logged itself. Kinds are compared exactly. Texts are equal if they differ only in what is
   * different in every request: times, nonces and request ids. Quoted values are compared exactly.
   *
   * @param name a kind; its length must be bounded
   * @param textOf builds the text that is compared with others of its kind; not called if the kind has reached its limit
   */
  admit(name: string, textOf: () => string = () => ''): Admission | undefined {
    const now = this.#now()
    const known = this.#kinds.get(name)
    if (known === undefined && this.#kinds.size >= MOST_KINDS && !this.#makeRoom(now)) {
      this.#others += 1
      return undefined
    }
    const isRecent = known !== undefined && now - known.toldAt < SPAN
    const kind = isRecent
      ? known
      : { toldAt: now, leftOut: known?.leftOut ?? 0, made: 0, texts: new Set<string>() }
    this.#kinds.set(name, kind)
    if (kind.texts.size >= MOST_TEXTS || kind.made >= MOST_MADE || !isNew(kind, textOf())) {
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

function isNew(kind: Kind, text: string): boolean {
  kind.made += 1
  const digest = createHash('sha256').update(withoutChanges(text)).digest('base64')
  if (kind.texts.has(digest)) return false
  kind.texts.add(digest)
  return true
}

/** Replaces what is different in every request, except in quoted values: there it may be a host or a port. */
function withoutChanges(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 0 ? withoutTimes(part) : part))
    .join('`')
}

function withoutTimes(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+/g, 'time')
    .replace(/\d{1,15} s (?=ago|in the future)/g, '')
    .replace(/[\d.]{1,20} ?ms\b/g, '')
    .replace(/[\w-]{10,}/g, (word) => (isRandom(word) ? 'random' : word))
}

/** Whether a word is a time in digits, a UUID or another random id. */
function isRandom(word: string): boolean {
  if (/^\d+$/.test(word)) return true
  if (word.length < 16 || !/\d/.test(word)) return false
  return /^[\da-fA-F-]+$/.test(word) || (/[a-z]/.test(word) && /[A-Z]/.test(word))
}
