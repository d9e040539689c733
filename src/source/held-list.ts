import { isUnreadable, UnavailableError, UnreadableError } from '../errors.ts'
import type { ListEntry } from '../list/entry.ts'
import { ListDigest } from '../list/list-digest.ts'
import { createExpiringIpSetBuilder, type ExpiringIpSet } from '../match/expiring-ip-set.ts'
import type { IpAddress } from '../match/ip.ts'
import { createSlices } from '../slices.ts'
import type { NamedSet } from '../policy/named-lists.ts'
import type { PolicyStore } from '../store/contract.ts'
import type { StoredList } from '../store/list-contract.ts'

/** How often a list is read again if it changes during the read. */
const MAX_READS = 5
/** How many ranges are added to a set without a pause. They take a fraction of a millisecond. */
const PIECE = 256

/** Reads from the store, with a deadline. */
export type AskStore = <T>(question: () => PromiseLike<T>) => Promise<T>

export interface HeldListSetting {
  readonly store: PolicyStore
  readonly maxStale: number
  /** The age at which a list is read again, in milliseconds. */
  readonly revalidateAfter: () => number
  readonly retryAfter: number
  readonly now: () => number
  readonly ask: AskStore
  /** Whether the store has lost its data, so that a missing list proves nothing. */
  isEmptied(): boolean
  report(error: Error): void
}

/** A list that guards search. Apps keep a reference to it while its content is replaced as a whole. */
export interface SharedList extends NamedSet {
  /** Whether the list may be used: it was read at most `maxStale` ago. Also starts a read in the background when one is due. */
  usable(at: number): boolean
}

/** One named list in memory, read again when it changes or becomes too old. */
export class HeldList implements SharedList {
  readonly name: string
  readonly #setting: HeldListSetting
  #set: ExpiringIpSet | undefined
  #digest: string | undefined
  #revision = 0
  #version: string | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #usedAt: number
  #retryAt = 0
  #outdated = true
  /** Whether the same revision may have another content. */
  #suspect = false
  #flight: Promise<void> | undefined

  constructor(name: string, setting: HeldListSetting) {
    this.name = name
    this.#setting = setting
    this.#usedAt = setting.now()
  }

  get exists(): boolean {
    return this.#set !== undefined
  }

  get digest(): string | undefined {
    return this.#digest
  }

  find(address: IpAddress, at: number): ReturnType<ExpiringIpSet['find']> {
    return this.#set?.find(address, at)
  }

  get bytes(): number {
    return this.#set?.bytes ?? 0
  }

  get usedAt(): number {
    return this.#usedAt
  }

  changed(isSuspect: boolean): void {
    this.#outdated = true
    this.#suspect ||= isSuspect
    if (this.#readAt !== Number.NEGATIVE_INFINITY) this.#reloadSoon(this.#setting.now())
  }

  usable(at: number): boolean {
    this.#usedAt = at
    const { maxStale, revalidateAfter } = this.#setting
    const age = at - this.#readAt
    if (age > maxStale) return false
    if ((this.#outdated || age > revalidateAfter()) && at >= this.#retryAt) this.#reloadSoon(at)
    return true
  }

  async need(): Promise<void> {
    if (!this.usable(this.#setting.now())) await this.#reload()
  }

  #reloadSoon(at: number): void {
    const { retryAfter, report } = this.#setting
    this.#retryAt = at + retryAfter * (0.5 + Math.random())
    if (this.#flight === undefined) this.#reload().catch(report)
  }

  #reload(): Promise<void> {
    this.#flight ??= this.#readUntilCurrent().finally(() => (this.#flight = undefined))
    return this.#flight
  }

  async #readUntilCurrent(): Promise<void> {
    const { store, ask, now } = this.#setting
    for (let reads = 1; ; reads += 1) {
      const [begunAt, wasSuspect] = [now(), this.#suspect]
      this.#outdated = this.#suspect = false
      let found = false
      try {
        const stored = await ask(() => store.readList?.(this.name) ?? Promise.resolve(undefined))
        found = true
        await this.#take(stored, wasSuspect)
        this.#readAt = begunAt
      } catch (error) {
        this.#outdated = true
        this.#suspect ||= wasSuspect
        // The list was found, so it may have been replaced during the read. If the store is down, the next read reports it.
        if (found && !isUnreadable(error) && reads < MAX_READS) continue
        throw error
      }
      if (!this.#outdated || reads === MAX_READS) return
    }
  }

  async #take(stored: StoredList | undefined, isSuspect: boolean): Promise<void> {
    if (stored === undefined) {
      if (this.#setting.isEmptied()) throw new UnavailableError('the store was emptied')
      this.#set = undefined
      this.#digest = undefined
      this.#revision = 0
      return
    }
    const { revision, version } = stored
    const isKnown = this.#set !== undefined && revision === this.#revision && version === this.#version
    if (isKnown && !isSuspect) return
    const { set, digest } = await compileList(stored, this.#setting.ask)
    this.#set = set
    this.#digest = digest
    this.#revision = revision
    this.#version = version
  }
}

/** A compiled list, and the digest of its content. */
export interface CompiledList {
  readonly set: ExpiringIpSet
  readonly digest: string
}

/** Compiles the entries of a list in slices. Rejects as `ask` does, and with `UnreadableError` if an entry is damaged. */
export async function compileList(stored: StoredList, ask: AskStore): Promise<CompiledList> {
  const builder = createExpiringIpSetBuilder()
  const digest = new ListDigest()
  const slices = createSlices()
  for await (const chunk of chunksOf(stored, ask)) {
    for (const [index, { range, expires }] of chunk.entries()) {
      const moment = expires === undefined ? undefined : Date.parse(expires)
      if (Number.isNaN(moment)) throw new UnreadableError('the stored list has an invalid expiry time')
      if (builder.add(range, moment) !== undefined)
        throw new UnreadableError('the stored list has an invalid range')
      // A custom store may return all entries in one chunk.
      if (index % PIECE !== PIECE - 1) continue
      digest.add(chunk.slice(index + 1 - PIECE, index + 1))
      if (slices.over) await slices.next()
    }
    digest.add(chunk.slice(chunk.length - (chunk.length % PIECE)))
    if (slices.over) await slices.next()
  }
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return { set: step.value, digest: digest.end() }
    if (slices.over) await slices.next()
  }
}

/** Reads the chunks, each with the deadline of `ask`. */
async function* chunksOf(stored: StoredList, ask: AskStore): AsyncGenerator<readonly ListEntry[]> {
  const chunks = stored.chunks()[Symbol.asyncIterator]()
  try {
    for (;;) {
      const chunk = await ask(() => chunks.next())
      if (chunk.done === true) return
      yield chunk.value
    }
  } finally {
    // The iterator may hold an open file. Its end is not awaited, because it may never come.
    chunks.return?.().catch(() => undefined)
  }
}
