import { isUnreadable, UnavailableError, UnreadableError } from '../errors.ts'
import type { ListEntry } from '../list/entry.ts'
import { ListDigest } from '../list/list-digest.ts'
import { createExpiringIpSetBuilder, type ExpiringIpSet } from '../match/expiring-ip-set.ts'
import type { IpAddress } from '../match/ip.ts'
import { createSlices } from '../slices.ts'
import type { NamedSet } from '../policy/named-lists.ts'
import type { PolicyStore } from '../store/contract.ts'
import type { StoredList } from '../store/list-contract.ts'

/** How often a list is read again that changes while it is read. */
const MAX_READS = 5
/** So many ranges are added to a set in a fraction of a millisecond. */
const PIECE = 256

/** Asks the store, within a deadline. */
export type AskStore = <T>(question: () => PromiseLike<T>) => Promise<T>

export interface HeldListSetting {
  readonly store: PolicyStore
  readonly maxStale: number
  /** After how long a list is read again. */
  readonly revalidateAfter: () => number
  readonly retryAfter: number
  readonly now: () => number
  readonly ask: AskStore
  /** Whether the store has lost what it held, so that the lack of a list says nothing. */
  isEmptied(): boolean
  report(error: Error): void
}

/** A list that guards ask. What it holds is replaced as a whole, under the hands of the apps that name it. */
export interface SharedList extends NamedSet {
  /** Whether it may be asked: it was read, no longer ago than `maxStale`. Reads it again in the background in time. */
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
  /** Whether the same revision may stand for another content. */
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
        // The list was there: it may have been replaced while it was read. If the store is away, the next look says so.
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

/** A list as guards ask it, and which content that is. */
export interface CompiledList {
  readonly set: ExpiringIpSet
  readonly digest: string
}

/**
 * The entries of a list as a set, read and made in slices. Rejects as `ask` does, and with `UnreadableError` for an entry
 * that is damaged.
 */
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
      // A store of somebody's own may hand over all at once.
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

/** The chunks, each of which the store is asked for as for everything else. */
async function* chunksOf(stored: StoredList, ask: AskStore): AsyncGenerator<readonly ListEntry[]> {
  const chunks = stored.chunks()[Symbol.asyncIterator]()
  try {
    for (;;) {
      const chunk = await ask(() => chunks.next())
      if (chunk.done === true) return
      yield chunk.value
    }
  } finally {
    // A file may be open. Nobody waits for one that does not answer.
    chunks.return?.().catch(() => undefined)
  }
}
