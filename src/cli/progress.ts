import type { Invocation } from './command.ts'
import { isJson } from './output.ts'

export interface Progress {
  /** Reports that `count` of the whole is done. */
  reach(count: number): void
  /** Clears the line on a terminal. Call it before anything else is written. */
  end(): void
}

/** On a terminal, one line that is overwritten; elsewhere, a line for each tenth. With `--json`, nothing. */
export function createProgress(invocation: Invocation, whole: number, what: string): Progress {
  const { error, terminals } = invocation
  const onTerminal = terminals.error
  let shown = 0
  return {
    reach(count) {
      const percent = whole === 0 ? 100 : Math.floor((count / whole) * 100)
      const step = onTerminal ? percent : Math.floor(percent / 10) * 10
      if (isJson(invocation) || step <= shown || step >= 100) return
      shown = step
      error(onTerminal ? `\r${step} % of ${whole} ${what}` : `${step} % of ${whole} ${what}\n`)
    },
    end() {
      if (onTerminal && shown > 0) error('\r\u001B[K')
      shown = 0
    },
  }
}
