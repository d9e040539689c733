import { askNow, OptionFailure } from './ask-option.ts'

/**
 * The clock of an option. One that tells no time would make every signature good or none, so that it fails as any option does
 * that a decision depends on.
 */
export function clockOf(option: (() => number) | undefined): () => number {
  if (option === undefined) return Date.now
  return () => {
    const now: unknown = askNow(option, 'now')
    if (Number.isFinite(now)) return now as number
    throw new OptionFailure('now', new TypeError('it did not return a number'))
  }
}
