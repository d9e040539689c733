import type { Spool } from '../spool/spool.ts'
import { lastOf } from './frame.ts'
import type { FrameWindow } from './frame-window.ts'
import { createPump, type Pump } from './pump.ts'

export interface SpoolPumpOptions {
  readonly window: FrameWindow
  /** Opens the spool on first use. */
  readonly open: () => Promise<Spool>
  /** The number of the last event that the store can no longer lose, in modes in which the store can replace the spool. */
  readonly storedInstead: () => number
  readonly onSpooled: () => void
  readonly onError: (error: unknown) => void
}

const WRITTEN_AT_ONCE = 4_194_304
/** How long a write may take before something else replaces the spool, in milliseconds. */
const PATIENCE = 250
/** How long a write may take in this thread, in milliseconds. After a slower one, other threads write for a while. */
const SLOW = 100
const SLOW_FOR = 5_000

/**
 * Writes the frames of one writer to its spool, in order, with one write for all frames made since the last one. Writes in this
 * thread if possible: copying a few bytes to the cache of the system takes less time than waking another thread.
 */
export class SpoolPump {
  readonly #options: SpoolPumpOptions
  readonly #pump: Pump
  #spooled = 0
  #made = 0
  /** When the current write began. */
  #began: number | undefined
  #spool: Spool | undefined
  /** When writes may be made in this thread again. */
  #quickFrom = 0

  constructor(options: SpoolPumpOptions) {
    this.#options = options
    this.#pump = createPump(() => this.#timed(), options.onError)
  }

  /** The number of the last event that the spool has, or that the store has instead. */
  get spooled(): number {
    return this.#spooled
  }

  get failing(): boolean {
    return this.#pump.failing
  }

  /** Whether it fails or hangs. */
  get isLate(): boolean {
    return this.failing || (this.#began !== undefined && performance.now() - this.#began >= PATIENCE)
  }

  made(number: number): void {
    const isBehind = this.#spooled < this.#made
    this.#made = number
    if (isBehind || !this.#isQuick || !this.#writeNow()) this.#pump.poke()
  }

  /** Whether frames that are made now are probably written before `made` returns. */
  get isReady(): boolean {
    return this.#isQuick && this.#spooled >= this.#made
  }

  get #isQuick(): boolean {
    return (
      this.#spool !== undefined &&
      this.#began === undefined &&
      !this.failing &&
      performance.now() >= this.#quickFrom
    )
  }

  #writeNow(): boolean {
    const frames = this.#options.window.from(this.#spooled + 1, WRITTEN_AT_ONCE)
    const last = frames.at(-1)
    if (last === undefined) return false
    const begin = performance.now()
    const written = this.#spool?.appendNow(frames) === true
    const end = performance.now()
    if (end - begin > SLOW) this.#quickFrom = end + SLOW_FOR
    if (!written) return false
    this.#spooled = lastOf(last)
    this.#options.onSpooled()
    return this.#spooled >= this.#made
  }

  async #timed(): Promise<boolean> {
    this.#began = performance.now()
    try {
      return await this.#step()
    } finally {
      this.#began = undefined
    }
  }

  async #step(): Promise<boolean> {
    const { window, open, storedInstead, onSpooled } = this.#options
    const stored = storedInstead()
    if (stored > this.#spooled) {
      this.#spooled = stored
      onSpooled()
    }
    if (this.#spooled >= this.#made) return false
    const spool = await open()
    this.#spool = spool
    const frames = window.from(this.#spooled + 1, WRITTEN_AT_ONCE)
    const last = frames.at(-1)
    // The frames were forgotten meanwhile, because the store can no longer lose them.
    if (last === undefined) return storedInstead() > this.#spooled
    await spool.append(frames)
    this.#spooled = lastOf(last)
    onSpooled()
    return this.#spooled < this.#made
  }

  close(): Promise<void> {
    return this.#pump.close()
  }
}
