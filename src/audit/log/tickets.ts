/** Callers who wait until all events up to a number are kept. */
export class Tickets {
  readonly #waiting: {
    readonly number: number
    readonly keep: () => void
    readonly fail: (why: Error) => void
  }[] = []
  #reached = 0
  #over: Error | undefined

  /** Up to which event all are kept. */
  get reached(): number {
    return this.#reached
  }

  /** Resolves when all events up to this number are kept. */
  wait(number: number): Promise<void> {
    if (number <= this.#reached) return Promise.resolve()
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((keep, fail) => {
      // Almost always the last: numbers are given out in order.
      const index = this.#waiting.findLastIndex((other) => other.number <= number)
      this.#waiting.splice(index + 1, 0, { number, keep, fail })
    })
  }

  reach(number: number): void {
    if (number <= this.#reached) return
    this.#reached = number
    let kept = 0
    while (kept < this.#waiting.length && (this.#waiting[kept]?.number ?? 0) <= number) kept += 1
    for (const { keep } of this.#waiting.splice(0, kept)) keep()
  }

  /** Nothing more will be kept. */
  end(why: Error): void {
    this.#over = why
    for (const { fail } of this.#waiting.splice(0)) fail(why)
  }
}
