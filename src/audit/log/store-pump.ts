import { withDeadline } from '../../deadline.ts'
import { UnavailableError } from '../../errors.ts'
import type { Spool } from '../spool/spool.ts'
import type { FrameStore, FrameToStore } from './frame-store.ts'
import type { FrameWindow } from './frame-window.ts'
import { createPump, type Pump } from './pump.ts'

export interface StorePumpOptions {
  readonly store: FrameStore
  readonly writer: string
  /** How long the store may take, in milliseconds. */
  readonly timeout: number
  readonly window: FrameWindow
  readonly spool: () => Spool | undefined
  /** Called before frames are sent. If it rejects, they are not sent. */
  readonly before: () => Promise<void>
  readonly onStored: () => void
  readonly onError: (error: unknown) => void
}

/** How many bytes of frames are sent at a time. Halved when the store does not answer in time, and doubled when it does. */
const MOST_AT_ONCE = 524_288
const LEAST_AT_ONCE = 65_536
/** How long frames that are kept elsewhere are collected, in milliseconds, and up to how many events. */
const COLLECTED_FOR = 20
const COLLECTED = 512

/** Sends the frames of one writer to the store, in order, and again until the store can no longer lose them. */
export class StorePump {
  readonly #options: StorePumpOptions
  readonly #pump: Pump
  /** The number of the last event that the store has acknowledged. */
  #stored = 0
  /** The number of the last event that the store can no longer lose. */
  #confirmed = 0
  /** The number of the last event in a frame. */
  #made = 0
  /** The store did not answer, so a small question is sent before more frames. */
  #doubted = false
  #atOnce = MOST_AT_ONCE
  #confirming: NodeJS.Timeout | undefined
  #collecting: NodeJS.Timeout | undefined
  #mayCollect = false
  #acknowledged: { readonly number: number; readonly at: number }[] = []

  constructor(options: StorePumpOptions) {
    this.#options = options
    this.#pump = createPump(() => this.#step(), options.onError)
  }

  get stored(): number {
    return this.#stored
  }

  /** The number of the last event that the store can no longer lose. */
  get confirmed(): number {
    return this.#confirmed
  }

  get failing(): boolean {
    return this.#pump.failing
  }

  /**
   * Frames up to this event exist.
   *
   * @param kept whether they are kept elsewhere. Then nobody waits for them, and they are collected for a short time.
   */
  made(number: number, kept = false): void {
    this.#made = number
    this.#mayCollect = kept
    if (!this.#collects()) this.hurry()
  }

  /** Whether the frames to send are collected first, because they are few. */
  #collects(): boolean {
    if (!this.#mayCollect || this.#made - this.#stored >= COLLECTED) return false
    this.#collecting ??= setTimeout(() => this.hurry(), COLLECTED_FOR)
    return true
  }

  /** Sends collected frames now. */
  hurry(): void {
    clearTimeout(this.#collecting)
    this.#collecting = undefined
    this.#pump.poke()
  }

  async #step(): Promise<boolean> {
    if (this.#stored >= this.#made) return false
    const { store, before, writer } = this.#options
    await before()
    if (this.#doubted) {
      await this.#ask(store.head(writer))
      this.#doubted = false
    }
    const first = this.#stored + 1
    const frames = await this.#framesFrom(first)
    const begin = frames[0]
    if (begin === undefined) return this.#stored < this.#made
    const overGap = begin.first > first
    if (overGap) this.#options.onError(lost(first, begin.first - 1))
    const head = await this.#ask(store.append(frames, overGap))
    this.#atOnce = Math.min(MOST_AT_ONCE, this.#atOnce * 2)
    if (head < begin.first - 1) {
      // The store has lost what it acknowledged. The frames that we still have are sent again.
      this.#goBackTo(head)
    } else {
      this.#stored = Math.min(head, this.#made)
      this.#acknowledged.push({ number: this.#stored, at: performance.now() })
      this.#confirmLater()
    }
    this.#options.onStored()
    return this.#stored < this.#made && !this.#collects()
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await withDeadline(answer, this.#options.timeout, 'the store of the audit')
    } catch (error) {
      this.#doubted = true
      this.#atOnce = Math.max(LEAST_AT_ONCE, this.#atOnce / 2)
      throw error
    }
  }

  /** The frames to send next. They begin later than requested if neither memory nor spool has the ones before. */
  async #framesFrom(first: number): Promise<readonly FrameToStore[]> {
    const { window } = this.#options
    const held = window.from(first, this.#atOnce)
    if (held.length > 0) return held
    const spool = this.#options.spool()
    const spooled = (await spool?.read(first, this.#atOnce)) ?? []
    if (spooled.length > 0) return spooled
    const next = window.firstFrom(first)
    return next === undefined ? [] : window.from(next, this.#atOnce)
  }

  #goBackTo(head: number): void {
    this.#stored = head
    this.#acknowledged = this.#acknowledged.filter(({ number }) => number <= head)
  }

  #confirmLater(): void {
    const { settlesAfter } = this.#options.store
    const oldest = this.#acknowledged[0]
    if (oldest === undefined || this.#confirming !== undefined) return
    if (settlesAfter === 0) {
      this.#confirmUpTo(this.#stored)
      return
    }
    const wait = Math.max(50, oldest.at + settlesAfter - performance.now())
    this.#confirming = setTimeout(() => {
      this.#confirming = undefined
      void this.#confirm().finally(() => this.#confirmLater())
    }, wait)
    this.#confirming.unref()
  }

  /** Checks whether the store still has what it acknowledged some time ago. */
  async #confirm(): Promise<void> {
    const { store, writer } = this.#options
    const due = performance.now() - store.settlesAfter
    const number = this.#acknowledged.findLast(({ at }) => at <= due)?.number
    if (number === undefined) return
    try {
      const head = await withDeadline(store.head(writer), this.#options.timeout, 'the store of the audit')
      if (head >= number) this.#confirmUpTo(number)
      if (head < this.#stored) {
        this.#goBackTo(head)
        this.#pump.poke()
      }
    } catch {
      // Checked again later; until then nothing is forgotten.
    }
  }

  #confirmUpTo(number: number): void {
    this.#acknowledged = this.#acknowledged.filter((other) => other.number > number)
    this.#confirmed = Math.max(this.#confirmed, number)
    this.#options.onStored()
  }

  async close(): Promise<void> {
    clearTimeout(this.#confirming)
    clearTimeout(this.#collecting)
    await this.#pump.close()
  }
}

function lost(first: number, last: number): UnavailableError {
  return new UnavailableError(
    `the audit store lost events that it had acknowledged (${first} to ${last} of this writer), and this process has no copy of them`,
  )
}
