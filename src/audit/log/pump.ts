/** Milliseconds to the first retry. Each further pause is twice as long, up to the last. */
const FIRST_RETRY = 100
const LAST_RETRY = 2_000

/** Runs a step repeatedly while there is something to do. */
export interface Pump {
  /** Call it when there may be something to do. */
  poke(): void
  /** Whether the last attempt has failed. */
  readonly failing: boolean
  /** Resolves when it has stopped. It does not start again. */
  close(): Promise<void>
}

/**
 * Creates a pump for one step. A step that fails is tried again later.
 *
 * @param step resolves with whether there may be more to do. It never runs twice at a time.
 */
export function createPump(step: () => Promise<boolean>, onError: (error: unknown) => void): Pump {
  let running: Promise<void> | undefined
  let wanted = false
  let failing = false
  let closed = false
  let wake = (): void => undefined

  async function run(): Promise<void> {
    let retryAfter = FIRST_RETRY
    while (wanted && !closed) {
      wanted = false
      try {
        if (await step()) wanted = true
        failing = false
        retryAfter = FIRST_RETRY
      } catch (error) {
        failing = true
        wanted = true
        onError(error)
        if (!closed) await sleep(retryAfter * (0.5 + Math.random()))
        retryAfter = Math.min(LAST_RETRY, retryAfter * 2)
      }
    }
    running = undefined
  }

  function sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      timer.unref()
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  return {
    get failing() {
      return failing
    },
    poke() {
      wanted = true
      if (!closed) running ??= run()
    },
    async close() {
      closed = true
      wake()
      await running
    },
  }
}
