/** Callers that wait until all events up to a number are kept. */
export class Tickets {
  readonly #waiting: {
    readonly number: number
    readonly keep: () => void
    readonly fail: (why: Error) => void
  }[] = []
  #reached = 0
  #over: Error | undefined

  /** The number up to which all events are kept. */
  get reached(): number {
    return this.#reached
  }

  /** Resolves when all events up to this number are kept. */
  wait(number: number): Promise<void> {
    if (number <= this.#reached) return Promise.resolve()
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((keep, fail) => {
      // Almost always the last one, because numbers ascend.
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

  /** Rejects all waiting callers: nothing more will be kept. */
  end(why: Error): void {
    this.#over = why
    for (const { fail } of this.#waiting.splice(0)) fail(why)
  }
}
