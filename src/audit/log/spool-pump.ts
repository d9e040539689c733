import type { Spool } from '../spool/spool.ts'
import { lastOf } from './frame.ts'
import type { FrameWindow } from './frame-window.ts'
import { createPump, type Pump } from './pump.ts'

export interface SpoolPumpOptions {
  readonly window: FrameWindow
  /** Opens the spool at the first need. */
  readonly open: () => Promise<Spool>
  /** The number of the last event that the store has, where that is as good as the spool. */
  readonly storedInstead: () => number
  readonly onSpooled: () => void
  readonly onError: (error: unknown) => void
}

const WRITTEN_AT_ONCE = 4_194_304

/** Writes the frames of one writer to its spool, in order: all that have been made since with one write. */
export class SpoolPump {
  readonly #options: SpoolPumpOptions
  readonly #pump: Pump
  #spooled = 0
  #made = 0

  constructor(options: SpoolPumpOptions) {
    this.#options = options
    this.#pump = createPump(() => this.#step(), options.onError)
  }

  /** The number of the last event that the spool has, or that the store has in its place. */
  get spooled(): number {
    return this.#spooled
  }

  get failing(): boolean {
    return this.#pump.failing
  }

  made(number: number): void {
    this.#made = number
    this.#pump.poke()
  }

  async #step(): Promise<boolean> {
    const { window, open, storedInstead, onSpooled } = this.#options
    this.#spooled = Math.max(this.#spooled, storedInstead())
    if (this.#spooled >= this.#made) return false
    const spool = await open()
    const frames = window.from(this.#spooled + 1, WRITTEN_AT_ONCE)
    const last = frames.at(-1)
    if (last === undefined) return false
    await spool.append(frames)
    this.#spooled = lastOf(last)
    onSpooled()
    return this.#spooled < this.#made
  }

  close(): Promise<void> {
    return this.#pump.close()
  }
}
