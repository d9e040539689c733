import { askNow, OptionFailure } from './ask-option.ts'

/**
 * The clock of an option. A result that is not a number would make every signature valid or none, so it counts as a failed
 * option.
 */
export function clockOf(option: (() => number) | undefined): () => number {
  if (option === undefined) return Date.now
  return () => {
    const now: unknown = askNow(option, 'now')
    if (Number.isFinite(now)) return now as number
    throw new OptionFailure('now', new TypeError('it did not return a number'))
  }
}
